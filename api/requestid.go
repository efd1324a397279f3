package api

import (
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/oklog/ulid/v2"
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

// traceID is the trace id of a W3C traceparent header, empty where there is no
// valid one. See https://www.w3.org/TR/trace-context/.
func traceID(h http.Header) string {
	parent := h.Get("traceparent")
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' || parent[52] != '-' {
		return ""
	}
	id := parent[3:35]
	if strings.Trim(id, "0123456789abcdef") != "" || strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}
