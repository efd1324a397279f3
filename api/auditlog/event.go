// Package auditlog keeps a node's audit log: what administrators have done, and which
// credentials were refused, as JSON lines in files whose bytes are bounded.
package auditlog

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Kind is what an event tells of.
type Kind string

const (
	Admin   Kind = "admin"    // an administrator's request, whatever came of it
	Refused Kind = "refused"  // a key, token or certificate that doesn't allow what was asked for
	LeftOut Kind = "left_out" // refusals that have no line of their own
)

// Event is a line. It never has a secret: tokens are there by eight hexadecimal digits of
// their SHA-256, keys by their ids.
type Event struct {
	Time      time.Time `json:"time"`
	Event     Kind      `json:"event"`
	Node      string    `json:"node"`
	RequestID string    `json:"request_id,omitzero"`
	TraceID   string    `json:"trace_id,omitzero"`
	Actor     string    `json:"actor,omitzero"` // admin-token:…, certificate:NAME or key:KEY_ID
	Remote    string    `json:"remote,omitzero"`
	Action    string    `json:"action,omitzero"` // method and pattern of the route
	// Target is what it was done to, by the API's names.
	Target map[string]string `json:"target,omitzero"`
	Status int               `json:"status,omitzero"`
	Code   string            `json:"code,omitzero"`
	Reason string            `json:"reason,omitzero"`
	Count  uint64            `json:"count,omitzero"` // of those left out
}

const (
	// What clients choose may be long; maxLineBytes holds the longest line, escaped.
	maxValueBytes   = 256
	maxTargetValues = 24
)

// line is the event in JSON, what is too long cut.
func (e Event) line() []byte {
	e.Time = e.Time.UTC()
	for _, text := range []*string{&e.RequestID, &e.Actor, &e.Remote, &e.Action, &e.Reason} {
		*text = cut(*text)
	}
	target := make(map[string]string, min(len(e.Target), maxTargetValues))
	for name, value := range e.Target {
		if len(target) == maxTargetValues {
			break
		}
		target[name] = cut(value)
	}
	if e.Target = target; len(target) == 0 {
		e.Target = nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic("encoding an audit event: " + err.Error()) // strings and numbers alone
	}
	return append(text, '\n')
}

// cut leaves no half of a character.
func cut(text string) string {
	if len(text) <= maxValueBytes {
		return text
	}
	end := maxValueBytes
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
