package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// maxPresizedBytes bounds the memory that a Content-Length is trusted for.
const maxPresizedBytes = 2 << 20

// readJSONBody reads and decompresses the request's body, at most maxBytes of
// it. Where the request has a Content-Type, that must be JSON.
func (s *server) readJSONBody(c *call, maxBytes int64) ([]byte, error) {
	if err := checkContentType(c.r.Header); err != nil {
		return nil, err
	}
	if c.r.ContentLength > maxBytes {
		return nil, tooLarge(maxBytes)
	}
	if err := setReadDeadline(c.w, time.Now().Add(s.Limits.BodyTimeout)); err != nil {
		return nil, err
	}
	wire := http.MaxBytesReader(c.w, c.r.Body, maxBytes)
	plain, done, err := decompressed(wire, c.r.Header.Values("Content-Encoding"))
	if err != nil {
		return nil, bodyFailure(err, maxBytes)
	}
	defer done()
	c.body = heldBody{held: s.held, org: c.caller.org}
	body, err := s.readAll(c, plain, maxBytes)
	if err != nil {
		return nil, bodyFailure(err, maxBytes)
	}
	return body, nil
}

func (s *server) readAll(c *call, plain io.Reader, maxBytes int64) ([]byte, error) {
	const chunkBytes = 32 << 10
	body := make([]byte, 0, min(max(c.r.ContentLength, 0)+1, maxPresizedBytes))
	for {
		body = slices.Grow(body, min(chunkBytes, cap(body)-len(body)+1))
		n, err := plain.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if !c.body.grow(n) {
			return nil, fail(codeOverloaded, "too many request bodies are held in memory")
		}
		if int64(len(body)) > maxBytes {
			return nil, tooLarge(maxBytes)
		}
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// setReadDeadline holds until the body's end, where net/http lifts it. It
// ignores writers that have no connection, as in tests.
func setReadDeadline(w http.ResponseWriter, t time.Time) error {
	err := http.NewResponseController(w).SetReadDeadline(t)
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("setting the body's deadline: %w", err)
	}
	return nil
}

// bodyFailure tells what reading a body failed of.
func bodyFailure(err error, maxBytes int64) error {
	var f *failure
	var tooLong *http.MaxBytesError
	var garbled garbledError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &tooLong):
		return tooLarge(maxBytes)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fail(codeRequestTimeout, "the body did not arrive in time").because(err)
	case errors.As(err, &garbled):
		return fail(codeMalformedJSON, "the body does not decompress as %s", garbled.encoding).because(err)
	default: // the connection broke: nobody reads this
		return fail(codeMalformedJSON, "the body ended too early").because(err)
	}
}

func tooLarge(maxBytes int64) *failure {
	return fail(codePayloadTooLarge, "the body is larger than %d bytes", maxBytes)
}

func checkContentType(h http.Header) error {
	text := h.Get("Content-Type")
	if text == "" {
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(text)
	charset := params["charset"]
	if err != nil || mediaType != "application/json" || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return fail(codeUnsupportedMediaType, "the Content-Type must be application/json")
	}
	return nil
}
