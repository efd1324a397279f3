package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/julienschmidt/httprouter"
	"go.opentelemetry.io/otel/trace"

	"pipesync/cluster"
	"pipesync/fsm"
)

// call is one request on its way through the edge, with what its access log
// line will say. One goroutine owns it.
type call struct {
	w       *responseWriter
	r       *http.Request
	params  httprouter.Params // unescaped
	id      string            // request id
	trace   trace.SpanContext // that the client sent, if it is valid
	route   string            // method and pattern; "unmatched"
	started time.Time
	caller  caller // set on routes that take an API key
	// actor is who gave the credential, as the audit log names him, also where it was
	// refused; target is what the audit log says it was done to, beside the parameters.
	actor  string
	target map[string]string
	reason string // of the code
	found  *route // nil: there is none

	code       Code // of the error told, else empty
	operations int
	body       heldBody
}

// caller is who the API key of a request speaks for.
type caller struct {
	keyID        string
	org          string
	defaultStore string
	scope        fsm.Scope
}

func (c *call) param(name string) string { return c.params.ByName(name) }

// traceID is empty where the client sent none.
func (c *call) traceID() string {
	if !c.trace.IsValid() {
		return ""
	}
	return c.trace.TraceID().String()
}

// concerns notes for the audit log what the call does something to.
func (c *call) concerns(name, value string) {
	if value == "" {
		return
	}
	if c.target == nil {
		c.target = map[string]string{}
	}
	c.target[name] = value
}

// within bounds the rest of the call's work.
//
// What is done for it on other nodes is done under its id and its trace.
func (c *call) within(d time.Duration) (context.Context, context.CancelFunc) {
	ctx := cluster.WithRequestID(c.r.Context(), c.id)
	if c.trace.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, c.trace)
	}
	return context.WithTimeout(ctx, d)
}

// jsonOptions let an id that is not UTF-8 be told in an error.
var jsonOptions = json.JoinOptions(jsontext.AllowInvalidUTF8(true))

func (c *call) reply(status int, body any) {
	encoded, err := json.Marshal(body, jsonOptions)
	if err != nil {
		panic("encoding a reply: " + err.Error())
	}
	c.replyJSON(status, encoded)
}

// replyJSON writes a body that is encoded already.
func (c *call) replyJSON(status int, body []byte) {
	c.replyBytes(status, "application/json", body)
}

func (c *call) replyBytes(status int, contentType string, body []byte) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // a client that went away is nobody to tell
}

// responseWriter remembers what was sent.
type responseWriter struct {
	http.ResponseWriter
	status int // 0: nothing yet
	bytes  int64
}

// Unwrap serves http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}
