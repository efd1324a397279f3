package api

import (
	"net/http"
	"strings"

	"pipesync/api/syncjson"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotent-Replayed"

	maxIdempotencyKeyBytes = 255

	// syncRoute names the sync route and its alias in idempotency keys. A name
	// that changes forgets them all.
	syncRoute = "POST /v1/pipeline/sync"
)

// idempotencyKey is the key that a request came with; empty where it has none.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values(headerIdempotencyKey)
	if len(values) == 0 {
		return "", nil
	}
	key, ok := unquoteKey(values[0])
	if len(values) > 1 || !ok || !isVisible(key) {
		return "", failField(codeValidationFailed, headerIdempotencyKey, syncjson.InvalidValue,
			"must be one header of 1 to 255 visible ASCII characters, bare or in double quotes")
	}
	return key, nil
}

// unquoteKey takes the quotes off a structured field's string (RFC 8941, section
// 3.3.3), which is the form of draft-ietf-httpapi-idempotency-key-header. The
// same key without them, as most clients send it, is the same key.
func unquoteKey(text string) (key string, ok bool) {
	inner, quoted := strings.CutPrefix(text, `"`)
	if !quoted {
		return text, true
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; {
		case c == '"':
			return b.String(), i == len(inner)-1
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(inner) && (inner[i+1] == '"' || inner[i+1] == '\\'):
			i++
			b.WriteByte(inner[i])
		default:
			return "", false
		}
	}
	return "", false
}

func isVisible(key string) bool {
	for i := range len(key) {
		if key[i] < 0x21 || key[i] > 0x7e {
			return false
		}
	}
	return key != "" && len(key) <= maxIdempotencyKeyBytes
}
