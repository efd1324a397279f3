package api

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t testing.TB, body string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t testing.TB, body string, options ...zstd.EOption) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, append(options, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	return string(w.EncodeAll([]byte(body), nil))
}

func TestBodyEncodings(t *testing.T) {
	random := make([]byte, 3<<20)
	_, _ = rand.Read(random)
	incompressible := strings.Replace(goodSync, `"namespace"`,
		`"data":{"x":"`+base64.StdEncoding.EncodeToString(random)+`"},"namespace"`, 1)
	bomb := strings.Repeat(" ", 20<<20)
	for _, test := range []struct {
		name, encoding, body string
		status               int
		code                 Code
	}{
		{"identity", "identity", goodSync, 200, ""},
		{"gzip", "gzip", gzipped(t, goodSync), 200, ""},
		{"gzip, large", "GZIP", gzipped(t, incompressible), 200, ""},
		{"zstd", "zstd", zstandard(t, goodSync), 200, ""},
		{"zstd, large", "zstd", zstandard(t, incompressible), 200, ""},
		{"gzip bomb", "gzip", gzipped(t, bomb), 413, codePayloadTooLarge},
		{"zstd bomb", "zstd", zstandard(t, bomb), 413, codePayloadTooLarge},
		{"zstd with a huge window", "zstd", zstandardStream(t, goodSync, 64<<20), 400, codeMalformedJSON},
		{"not gzip", "gzip", goodSync, 400, codeMalformedJSON},
		{"not zstd", "zstd", goodSync, 400, codeMalformedJSON},
		{"gzip cut short", "gzip", gzipped(t, goodSync)[:40], 400, codeMalformedJSON},
		{"zstd cut short", "zstd", zstandard(t, goodSync)[:40], 400, codeMalformedJSON},
		{"empty gzip", "gzip", "", 400, codeMalformedJSON},
		{"empty", "", "", 400, codeMalformedJSON},
		{"twice", "gzip, gzip", gzipped(t, gzipped(t, goodSync)), 415, codeUnsupportedMediaType},
		{"unknown", "br", goodSync, 415, codeUnsupportedMediaType},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t)
			e.sync(test.body, header{"Content-Encoding", test.encoding}).want(test.status, test.code)
			e.sync(goodSync).want(200, "") // pooled decoders are clean again
			e.wantNothingHeld()
		})
	}
}

func zstandardStream(t testing.TB, body string, window int) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(window), zstd.WithSingleSegment(false), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, iotest.OneByteReader(strings.NewReader(body+strings.Repeat(" ", 1<<16)))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Flush(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (e *edge) wantNothingHeld() {
	e.t.Helper()
	held := e.handler.(*server).held
	held.mu.Lock()
	defer held.mu.Unlock()
	if held.total != 0 {
		e.t.Errorf("%d bytes of bodies are held", held.total)
	}
}

func TestContentTypes(t *testing.T) {
	e := newEdge(t)
	for contentType, status := range map[string]int{
		"": 200, "application/json": 200, "Application/JSON; charset=UTF-8": 200,
		"application/json; charset=latin1": 415, "text/json": 415, "application/x-www-form-urlencoded": 415, ";": 415,
	} {
		e.sync(goodSync, header{"Content-Type", contentType}).want(status, "")
		e.log.advance(time.Minute)
	}
}

func TestBodiesHeldAreBounded(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.Limits.MaxBufferedBodyBytes = 1000 })
	e.sync(goodSync+strings.Repeat(" ", 1000)).want(503, codeOverloaded).wantHeader("Retry-After", "1")
	e.wantNothingHeld()
	e.sync(goodSync).want(200, "")

	for org, status := range map[string]int{"org_acme": 503, "org_other": 200} {
		held := heldBody{held: e.handler.(*server).held, org: org}
		held.grow(750)
		e.sync(goodSync).want(status, "")
		held.release()
		e.wantNothingHeld()
	}
}

func TestDeclaredLengthIsRefusedUnread(t *testing.T) {
	e := newEdge(t)
	r := httptest.NewRequest("POST", "/v1/pipeline/sync", iotest.ErrReader(errors.New("was read")))
	r.ContentLength = 16<<20 + 1
	r.Header.Set("X-API-Key", e.key)
	e.serve(r).want(413, codePayloadTooLarge).wantHeader("Connection", "close")
}

// TestSlowBody stalls a body on a real connection.
func TestSlowBody(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.Limits.BodyTimeout = 50 * time.Millisecond })
	server := httptest.NewServer(e.handler)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /v1/pipeline/sync HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: 100\r\n\r\n{", e.key)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 408 || !response.Close {
		t.Errorf("status %d, close %v", response.StatusCode, response.Close)
	}
}
