package api

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// failure is an error on its way to the client: a code of the table and what
// there is to say about this occurrence. Handlers return it; tell writes it.
type failure struct {
	code    Code
	message string
	details []detail
	total   int // of all details, those left out included
	// retryAfter is told in whole seconds; 0 takes the default of a retryable
	// 503.
	retryAfter time.Duration
	// unsafeRetry tells a code that is retryable otherwise as not retryable.
	unsafeRetry bool
	// syncID is the sync's whose outcome isn't known; else empty.
	syncID string
	cause  error // logged, never told
}

// detail is one thing that is wrong with a request.
type detail struct {
	Index     *int   `json:"index,omitzero"` // of the operation; absent: not an operation's
	Field     string `json:"field,omitzero"`
	ID        string `json:"id,omitzero"`
	Namespace string `json:"namespace,omitzero"`
	Code      string `json:"code"`
	Message   string `json:"message"`

	Figures *lossFigures `json:"figures,omitzero"` // of DELETE_GUARD alone
}

func fail(code Code, format string, args ...any) *failure {
	return &failure{code: code, message: fmt.Sprintf(format, args...)}
}

// failField is a failure about one field, header or parameter of the request, or
// about its body where field is empty. rule goes on after its name.
func failField(code Code, field, reason, rule string) *failure {
	f := fail(code, "%s %s", cmp.Or(field, "the body"), rule)
	f.details = []detail{{Field: field, Code: reason, Message: rule}}
	f.total = 1
	return f
}

func (f *failure) because(cause error) *failure {
	f.cause = cause
	return f
}

func (f *failure) Error() string {
	if f.cause != nil {
		return fmt.Sprintf("%s: %s: %v", f.code, f.message, f.cause)
	}
	return fmt.Sprintf("%s: %s", f.code, f.message)
}

func (f *failure) Unwrap() error { return f.cause }

// envelope is the body of every error.
type envelope struct {
	Success bool         `json:"success"`
	Error   envelopeBody `json:"error"`
}

type envelopeBody struct {
	Code         Code     `json:"code"`
	Message      string   `json:"message"`
	Status       int      `json:"status"`
	Retryable    bool     `json:"retryable"`
	RequestID    string   `json:"request_id"`
	SyncID       string   `json:"sync_id,omitzero"`
	Details      []detail `json:"details"`
	DetailsTotal int      `json:"details_total"`
}

const defaultRetryAfter = time.Second

// tell writes err as the reply. Where a reply has begun already there is
// nothing left to tell: the connection is cut.
func (s *server) tell(c *call, err error) {
	f := asFailure(err)
	row := errorRows[f.code]
	c.code, c.reason = f.code, f.message
	if row.status == http.StatusInternalServerError {
		s.log.Error("request failed", "request_id", c.id, "trace_id", c.traceID(), "route", c.route, "error", err)
	}
	if c.w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	h := c.w.Header()
	retryable := row.retryable && !f.unsafeRetry
	if f.retryAfter > 0 || row.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.FormatInt(wholeSeconds(max(f.retryAfter, defaultRetryAfter)), 10))
	}
	if row.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge(f.code))
	}
	if row.status == http.StatusRequestTimeout || row.status == http.StatusRequestEntityTooLarge {
		h.Set("Connection", "close")
	}
	c.reply(row.status, envelope{Error: envelopeBody{
		Code: f.code, Message: f.message, Status: row.status, Retryable: retryable,
		RequestID: c.id, SyncID: f.syncID, Details: f.details, DetailsTotal: f.total,
	}})
}

func challenge(code Code) string {
	if code == codeMissingAdminToken || code == codeInvalidAdminToken || code == codeInvalidAdminCertificate {
		return `Bearer realm="pipesync admin"`
	}
	return `ApiKey realm="pipesync", header="X-API-Key"`
}

// wholeSeconds rounds up, so that who waits as long never comes too early.
func wholeSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
