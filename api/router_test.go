package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

var awkwardIDs = []string{
	"a/b", "https://x/1?q=1&r#f", "..", ".", "%2F", "%", "a b", "a+b", "🦀", "naïve/ü", `"quoted"`, `back\slash`,
	"a//b", "/", "?", "#", ";", "records", ":id", "*", "<script>", "line\u2028separator",
}

// TestAwkwardIDs pushes each id and namespace and reads it back by its path.
func TestAwkwardIDs(t *testing.T) {
	e := newEdge(t)
	for _, id := range awkwardIDs {
		quoted := string(appendString(nil, id))
		e.push(`{"action":"upsert","id":` + quoted + `,"namespace":` + quoted + `,"data":{"x":1}}`)
		escaped := url.PathEscape(id)
		var record struct {
			ID        string `json:"id"`
			Namespace string `json:"namespace"`
		}
		e.do("GET", "/v1/vector-stores/vs_main/namespaces/"+escaped+"/records/"+escaped, "").want(200, "").decode(&record)
		if record.ID != id || record.Namespace != id {
			t.Errorf("asked for %q, got %+v", id, record)
		}
	}
}

// TestRawAndEscapedTogether keeps an escaped slash whole beside bytes that a
// client should have escaped, for which net/url gives up the wire form.
func TestRawAndEscapedTogether(t *testing.T) {
	e := newEdge(t)
	e.push(`{"action":"upsert","id":"🦀/1","namespace":"n"}`)
	server := httptest.NewServer(e.handler)
	defer server.Close()
	r, err := http.NewRequest("GET", server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = "/v1/vector-stores/vs_main/namespaces/n/records/🦀%2F1"
	r.Header.Set("X-API-Key", e.key)
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	server.Client().CloseIdleConnections()
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestRouting(t *testing.T) {
	e := newEdge(t)
	for _, test := range []struct {
		method, path string
		status       int
		code         Code
		allow        string
	}{
		{"GET", "/", 404, codeRouteNotFound, ""},
		{"GET", "//", 404, codeRouteNotFound, ""},
		{"GET", "/livez/", 404, codeRouteNotFound, ""},
		{"GET", "/LIVEZ", 404, codeRouteNotFound, ""},
		{"GET", "/v1/../livez", 404, codeRouteNotFound, ""},
		{"GET", "/v1/vector-stores//namespaces", 404, codeRouteNotFound, ""},
		{"GET", "/v1/vector-stores/vs_main/namespaces/", 404, codeRouteNotFound, ""},
		{"GET", "/v1/vector-stores/vs_main/namespaces/n/records/", 404, codeRouteNotFound, ""},
		{"GET", "/v1/vector-stores/vs_main/namespaces/n/records/a/b", 404, codeRouteNotFound, ""},
		{"PUT", "/v1/pipeline/sync", 405, codeMethodNotAllowed, "POST"},
		{"OPTIONS", "/v1/pipeline/sync", 405, codeMethodNotAllowed, "POST"},
		{"PATCH", "/v1/admin/keys", 405, codeMethodNotAllowed, "GET, POST"},
		{"POST", "/v1/admin/members/node_1", 405, codeMethodNotAllowed, "DELETE"},
		{"DELETE", "/livez", 405, codeMethodNotAllowed, "GET"},
		{"HEAD", "/livez", 200, "", ""},
		{"GET", "/v1/vector-stores/vs_main/namespaces", 200, "", ""},
	} {
		e.do(test.method, test.path, "").want(test.status, test.code).wantHeader("Allow", test.allow).
			wantHeader("Location", "")
	}
}

// TestAccess asks every route without a credential: only the open ones answer.
func TestAccess(t *testing.T) {
	e := newEdge(t)
	s := e.handler.(*server)
	for _, route := range s.routes() {
		r := httptest.NewRequest(route.method, fillPattern(route.pattern), nil)
		got := e.serve(r)
		switch route.access {
		case keyed:
			got.want(401, codeMissingAPIKey).wantHeader("WWW-Authenticate", challenge(codeMissingAPIKey))
		case admin:
			got.want(401, codeMissingAdminToken).wantHeader("WWW-Authenticate", challenge(codeMissingAdminToken))
		case open:
			if got.status >= 300 {
				t.Errorf("%s: %d", route.name(), got.status)
			}
		}
	}
}

// fillPattern puts a value for each parameter.
func fillPattern(pattern string) string {
	path := ""
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != ':' {
			path += pattern[i : i+1]
			continue
		}
		for i+1 < len(pattern) && pattern[i+1] != '/' {
			i++
		}
		path += "x"
	}
	return path
}
