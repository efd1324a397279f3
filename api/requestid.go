package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/oklog/ulid/v2"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const maxRequestIDBytes = 128

// requestID is the client's X-Request-ID where it is fit for logs and headers,
// else one of our own.
func requestID(h http.Header) string {
	if id := h.Get("X-Request-ID"); isVisibleASCII(id, maxRequestIDBytes) {
		return id
	}
	return "req_" + mintULID()
}

func isVisibleASCII(s string, maxBytes int) bool {
	if s == "" || len(s) > maxBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// mintULID returns 26 lower-case characters: the time in milliseconds, then 80
// random bits.
func mintULID() string {
	return strings.ToLower(ulid.MustNew(ulid.Now(), rand.Reader).String())
}

// traceOf is the trace context of a valid traceparent header, else an invalid one.
// See https://www.w3.org/TR/trace-context/.
func traceOf(h http.Header) trace.SpanContext {
	if h.Get("traceparent") == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(h))
	return trace.SpanContextFromContext(ctx)
}
