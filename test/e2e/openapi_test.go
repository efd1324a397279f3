package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/klauspost/compress/zstd"
)

const (
	openAPIFile    = "../../api/openapi.yaml"
	maxIdlePerNode = 64 // connections
)

var loadSpec = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(openAPIFile)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", openAPIFile, err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", openAPIFile, err)
	}
	doc.Servers = nil // any host
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("making a router of %s: %w", openAPIFile, err)
	}
	return router, nil
})

// checkedTransport holds each exchange against the OpenAPI document:
//   - a documented route answers with documented statuses, headers and bodies;
//   - a request that is answered with 2xx is one that the document allows;
//   - a route or method that isn't documented is answered with 404 or 405.
type checkedTransport struct {
	report func(format string, args ...any)
	next   http.RoundTripper
	router routers.Router
}

// checkedClient is an HTTP client whose exchanges fail t where they don't
// follow the document.
func checkedClient(t *testing.T) *http.Client {
	t.Helper()
	router, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	next := &http.Transport{MaxIdleConnsPerHost: maxIdlePerNode}
	t.Cleanup(next.CloseIdleConnections)
	return &http.Client{
		Transport:     &checkedTransport{t.Errorf, next, router},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip implements http.RoundTripper. A violation is told to the test and
// changes nothing else: the client gets the reply as it came.
func (c *checkedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := drain(&req.Body)
	if err != nil {
		return nil, fmt.Errorf("reading a request's body: %w", err)
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := drain(&resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the reply to %s %s: %w", req.Method, req.URL.Path, err)
	}
	if err := c.check(req, sent, resp, got); err != nil {
		c.report("%s %s answered %d, against the OpenAPI document: %v", req.Method, req.URL.EscapedPath(), resp.StatusCode, err)
	}
	return resp, nil
}

func (c *checkedTransport) check(req *http.Request, sent []byte, resp *http.Response, got []byte) error {
	route, params, err := c.router.FindRoute(req)
	if err != nil {
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
			return nil
		}
		return fmt.Errorf("the route isn't documented: %w", err)
	}
	for name, value := range params {
		if params[name], err = url.PathUnescape(value); err != nil {
			return fmt.Errorf("unescaping parameter %s: %w", name, err)
		}
	}
	input := &openapi3filter.RequestValidationInput{
		Request: req.Clone(req.Context()), PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true, SkipSettingDefaults: true,
		},
	}
	if resp.StatusCode/100 == 2 {
		if err := checkRequest(input, sent); err != nil {
			return fmt.Errorf("an invalid request was taken: %w", err)
		}
	}
	return openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(got)), Options: input.Options,
	})
}

func checkRequest(input *openapi3filter.RequestValidationInput, sent []byte) error {
	plain, err := decompressed(input.Request.Header.Get("Content-Encoding"), sent)
	if err != nil {
		return err
	}
	input.Request.GetBody = nil // it would give the compressed body back
	if len(plain) == 0 {
		input.Request.Body = http.NoBody
	} else {
		input.Request.Body = io.NopCloser(bytes.NewReader(plain))
		if input.Request.Header.Get("Content-Type") == "" {
			input.Request.Header.Set("Content-Type", "application/json") // what an absent one means
		}
	}
	return openapi3filter.ValidateRequest(input.Request.Context(), input)
}

func decompressed(encoding string, body []byte) ([]byte, error) {
	switch encoding {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	default:
		return body, nil
	}
}

// drain reads a body and puts one with the same bytes in its place.
func drain(body *io.ReadCloser) ([]byte, error) {
	if *body == nil || *body == http.NoBody {
		return nil, nil
	}
	text, err := io.ReadAll(*body)
	if err := (*body).Close(); err != nil {
		return nil, err
	}
	*body = io.NopCloser(bytes.NewReader(text))
	return text, err
}

func TestOpenAPIDocumentIsServed(t *testing.T) {
	s := shared(t)
	want, err := os.ReadFile(openAPIFile)
	s.must(err)
	for _, n := range s.Nodes {
		got := s.answer(n, request{path: "/openapi.yaml"})
		if got.status != http.StatusOK || !bytes.Equal(got.body, want) {
			t.Errorf("%s serves %d bytes with status %d, want the %d bytes of %s", n.ID, len(got.body), got.status, len(want), openAPIFile)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The checks above are only worth something if they fail.
func TestViolationsOfTheDocumentAreTold(t *testing.T) {
	router, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	const health = `{"status":"ok","node_id":"n","role":"leader","leader_id":"n","ready":true,"version":"v"}`
	for _, c := range []struct {
		name, method, path, sent string
		status                   int
		got                      string
		violation                bool
	}{
		{"as documented", "GET", "/v1/pipeline/health", "", 200, health, false},
		{"a field is missing", "GET", "/v1/pipeline/health", "", 200, strings.Replace(health, `"role":"leader",`, "", 1), true},
		{"a field of another type", "GET", "/v1/pipeline/health", "", 200, strings.Replace(health, "true", `"yes"`, 1), true},
		{"no JSON", "GET", "/v1/pipeline/health", "", 200, "ok", true},
		{"an undocumented status", "GET", "/v1/pipeline/health", "", 418, health, true},
		{"an undocumented route", "GET", "/v1/nothing", "", 200, "{}", true},
		{"an undocumented route, refused", "GET", "/v1/nothing", "", 404, "{}", false},
		{"an undocumented method", "PATCH", "/v1/pipeline/health", "", 200, health, true},
		{"an invalid request taken", "POST", "/v1/admin/leader/transfer", `{"node":5}`, 200, `{"leader_id":"n"}`, true},
		{"a valid request taken", "POST", "/v1/admin/leader/transfer", `{"node":"n"}`, 200, `{"leader_id":"n"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told []string
			transport := &checkedTransport{
				report: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) },
				router: router,
				next: roundTrip(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: c.status, Body: io.NopCloser(strings.NewReader(c.got)), Request: r,
						Header: http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"req_01arz3ndektsv4rrffq69g5fav"}}}, nil
				}),
			}
			req, err := http.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1:1"+c.path, strings.NewReader(c.sent))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(resp.Body); err != nil || string(text) != c.got {
				t.Errorf("the reply came through as %q, %v", text, err)
			}
			if (len(told) > 0) != c.violation {
				t.Errorf("told %q", told)
			}
		})
	}
}
