package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const maxQuotedReplyBytes = 200

// Error is a refusal or failure that a node answered with.
type Error struct {
	Code      string   // such as RATE_LIMIT_EXCEEDED; empty if a proxy answered
	Message   string   // for people
	Status    int      // HTTP status
	Retryable bool     // the same request may be sent again
	RequestID string   // finds the request in the node's log
	SyncID    string   // with OUTCOME_UNKNOWN: PastSync finds it, once it is applied
	Details   []Detail // the first of them, in operation order
	// DetailsTotal is how many details there are, also those left out.
	DetailsTotal int
	// RetryAfter is how long to wait before sending again; 0: not said.
	RetryAfter time.Duration
	// Addr is the node that answered, as a URL.
	Addr string
}

// Detail is what is wrong with one operation or field.
type Detail struct {
	Index     *int   `json:"index,omitempty"` // of the operation; nil: not about one
	Field     string `json:"field,omitempty"`
	ID        string `json:"id,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Code      string `json:"code,omitempty"`
	Message   string `json:"message"`
	// Figures are those of DELETE_GUARD.
	Figures *LossFigures `json:"figures,omitempty"`
}

// LossFigures are what a batch would have removed.
type LossFigures struct {
	Live    uint64      `json:"live"`    // records of its namespaces
	Removed uint64      `json:"removed"` // of them
	Percent json.Number `json:"percent"` // rounded up to thousandths
	Limit   json.Number `json:"limit"`   // its MaxDeletePercent
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s answered %d", e.Addr, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	return text + ": " + e.Message
}

// ConnectionError means that no usable answer came from a node.
type ConnectionError struct {
	Addr string // as a URL
	// Sent says that the request may have reached the node: whether a write was
	// applied is unknown.
	Sent bool
	Err  error
}

func (e *ConnectionError) Error() string {
	if e.Sent {
		return fmt.Sprintf("%s gave no answer: %v", e.Addr, e.Err)
	}
	return fmt.Sprintf("%s can't be reached: %v", e.Addr, e.Err)
}

func (e *ConnectionError) Unwrap() error { return e.Err }

func decodeError(addr string, resp *http.Response, body []byte) *Error {
	var envelope struct {
		Error struct {
			Code         string   `json:"code"`
			Message      string   `json:"message"`
			Retryable    bool     `json:"retryable"`
			RequestID    string   `json:"request_id"`
			SyncID       string   `json:"sync_id"`
			Details      []Detail `json:"details"`
			DetailsTotal int      `json:"details_total"`
		} `json:"error"`
	}
	e := &Error{Status: resp.StatusCode, Addr: addr, RequestID: resp.Header.Get("X-Request-ID")}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.Error.Code == "" {
		body = bytes.TrimSpace(body[:min(len(body), maxQuotedReplyBytes)])
		e.Message = fmt.Sprintf("%s, not an answer of Pipesync: %q", http.StatusText(resp.StatusCode), body)
		return e
	}
	in := envelope.Error
	e.Code, e.Message, e.Retryable = in.Code, in.Message, in.Retryable
	e.SyncID = in.SyncID
	e.Details, e.DetailsTotal = in.Details, in.DetailsTotal
	if in.RequestID != "" {
		e.RequestID = in.RequestID
	}
	return e
}
