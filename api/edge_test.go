package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"pipesync/cluster"
)

func TestRequestID(t *testing.T) {
	e := newEdge(t)
	for _, test := range []struct {
		sent string
		kept bool
	}{
		{"abc-123", true},
		{strings.Repeat("x", 128), true},
		{strings.Repeat("x", 129), false},
		{"two words", false},
		{"naïve", false},
		{"", false},
	} {
		got := e.do("GET", "/none", "", header{"X-Request-ID", test.sent}).want(404, codeRouteNotFound).header.Get("X-Request-ID")
		if kept := got == test.sent; kept != test.kept || !kept && (len(got) != 30 || !strings.HasPrefix(got, "req_")) {
			t.Errorf("sent %q, got %q", test.sent, got)
		}
	}
}

func TestPanicIsInternal(t *testing.T) {
	e := newEdge(t)
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) { panic("secret internals") }
	r := e.sync(goodSync).want(500, codeInternal)
	if strings.Contains(r.body, "internals") {
		t.Errorf("told: %s", r.body)
	}
	if !strings.Contains(e.lines.String(), "secret internals") {
		t.Error("the log lacks the cause")
	}
	e.cluster.propose = nil
	e.sync(goodSync).want(200, "")
}

func TestAbortHandlerPasses(t *testing.T) {
	e := newEdge(t)
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) { panic(http.ErrAbortHandler) }
	defer func() {
		if cause, ok := recover().(error); !ok || !errors.Is(cause, http.ErrAbortHandler) {
			t.Errorf("recovered %v", cause)
		}
	}()
	e.sync(goodSync)
}

// TestAccessLog: one line, with who and what, without secrets or data.
func TestAccessLog(t *testing.T) {
	e := newEdge(t)
	body := strings.Replace(goodSync, `"id"`, `"data":{"password":"hunter2"},"id"`, 1)
	e.sync(body, header{"X-Request-ID", "r1"},
		header{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}).want(200, "")
	e.do("GET", "/livez", "").want(200, "")
	e.do("GET", "/v1/admin/status", "").want(200, "")
	lines := strings.Split(strings.TrimSpace(e.lines.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines:\n%s", len(lines), e.lines)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"msg": "request", "request_id": "r1", "method": "POST", "route": "POST /v1/pipeline/sync", "status": 200.0,
		"code": "", "organization_id": "org_acme", "key_id": keyIDOf(e.key), "operations": 1.0, "node": "node_1",
		"leader": "node_1", "bytes_in": float64(len(body)), "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if out, ok := line["bytes_out"].(float64); !ok || out == 0 {
		t.Errorf("bytes_out is %v", line["bytes_out"])
	}
	for _, secret := range []string{"hunter2", "password", e.key, testAdmin} {
		if strings.Contains(e.lines.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestMetrics(t *testing.T) {
	e := newEdge(t)
	e.sync(goodSync).want(200, "")
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/secret-name/records/secret-id", "").want(404, "")
	e.do("GET", "/secret-path", "").want(404, "")
	body := e.do("GET", "/metrics", "").want(200, "").body
	for _, want := range []string{
		`pipesync_http_requests_total{route="POST /v1/pipeline/sync",status="200"} 1`,
		`pipesync_http_requests_total{route="GET /v1/vector-stores/:store/namespaces/:namespace/records/:id",status="404"} 1`,
		`pipesync_http_requests_total{route="unmatched",status="404"} 1`,
		`pipesync_http_request_duration_seconds_count{route="POST /v1/pipeline/sync"} 1`,
		`pipesync_sync_operations_total 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, secret := range []string{"secret", "org_acme", "key_"} {
		if strings.Contains(body, secret) {
			t.Errorf("the metrics have %q", secret)
		}
	}
}

// TestUnjoined: what a node that belongs to no cluster answers.
func TestUnjoined(t *testing.T) {
	e := newEdge(t)
	e.cluster.status = func() cluster.Status { return cluster.Status{NodeID: "node_1", Role: cluster.RoleUnjoined} }
	e.cluster.join = func(context.Context, string, string, bool) error { return nil }
	answers := []string{
		"GET /livez", "GET /readyz", "GET /healthz", "GET /metrics", "GET /openapi.yaml",
		"GET /v1/pipeline/health", "GET /v1/admin/status", "POST /v1/admin/members/join",
	}
	for _, route := range e.handler.(*server).routes() {
		r := httptest.NewRequest(route.method, fillPattern(route.pattern), nil)
		got := e.serve(r)
		refused := strings.Contains(got.body, `"code":"NOT_JOINED"`)
		if refused == slices.Contains(answers, route.name()) {
			t.Errorf("%s: %d %s", route.name(), got.status, got.body)
		}
	}
}

// TestReadyOnceFormed: a founder that leads is ready only once its state has
// the cluster's first command.
func TestReadyOnceFormed(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.State = emptyState(t) })
	e.do("GET", "/readyz", "").want(503, "").wantBody("not ready\n")
	if body := e.do("GET", "/readyz?verbose", "").want(503, "").body; !strings.Contains(body, "[+] caught-up\n[-] formed: ") {
		t.Errorf("got %s", body)
	}
	for path, status := range map[string]int{"/v1/pipeline/health": 503, "/v1/admin/status": 200} {
		if body := e.do("GET", path, "").want(status, "").body; !strings.Contains(body, `"ready":false`) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestProbes(t *testing.T) {
	e := newEdge(t)
	e.do("GET", "/livez", "").want(200, "").wantBody("ok\n")
	e.do("GET", "/readyz", "").want(200, "").wantBody("ok\n")
	e.do("GET", "/healthz?verbose", "").want(200, "").wantBody("[+] joined\n[+] leader\n[+] caught-up\n[+] formed\n[+] disk\n[+] members\n[+] state\nok\n")
	e.do("GET", "/v1/pipeline/health", "").want(200, "").
		wantBody(`{"status":"ok","node_id":"node_1","role":"leader","leader_id":"node_1","ready":true,"version":"test"}`)
	e.cluster.status = func() cluster.Status { return cluster.Status{ClusterID: "c", Role: cluster.RoleFollower} }
	e.do("GET", "/livez", "").want(200, "")
	e.do("GET", "/readyz", "").want(503, "").wantBody("not ready\n")
	if body := e.do("GET", "/readyz?verbose", "").want(503, "").body; !strings.Contains(body, "[-] leader: no leader is known\n") {
		t.Errorf("got %s", body)
	}
	e.do("GET", "/v1/pipeline/health", "").want(503, "").
		wantBody(`{"status":"degraded","node_id":"node_1","role":"follower","leader_id":"","ready":false,"version":"test"}`)
}
