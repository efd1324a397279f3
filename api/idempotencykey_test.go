package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func withKey(key string) header { return header{"Idempotency-Key", key} }

// TestReplayFieldForField: the second reply is the first one, whichever route it
// takes and however the body is laid out; only the headers are of now.
func TestReplayFieldForField(t *testing.T) {
	e := newEdge(t)
	const body = `{"organization_id":"org_acme","sync_mode":"incremental","operations":[
		{"action":"upsert","id":"1","namespace":"n","data":{"a":1,"b":2}},{"action":"delete","id":"2","namespace":"m"}]}`
	laidOut := strings.Replace(body, `{"a":1,"b":2}`, `{ "b" : 2, "a" : 1 }`, 1)
	first := e.sync(body, withKey("run-1")).want(200, "").wantHeader("Idempotent-Replayed", "").wantHeader("X-RateLimit-Remaining", "4")
	e.sync(goodSync).want(200, "").wantHeader("X-RateLimit-Remaining", "3")
	for _, c := range []struct{ route, body, key string }{
		{"/v1/pipeline/sync", body, "run-1"},
		{"/v1/connectors/pipeline/sync", body, `"run-1"`},
		{"/v1/pipeline/sync", laidOut, "run-1"},
	} {
		r := e.do("POST", c.route, c.body, withKey(c.key)).want(200, "").
			wantHeader("Idempotent-Replayed", "true").wantHeader("X-RateLimit-Remaining", "3")
		if diff := cmp.Diff(timeless(first.body), timeless(r.body)); diff != "" {
			t.Errorf("%s: %s", c.route, diff)
		}
	}
	e.log.advance(time.Hour)
	e.sync(body, withKey("run-1")).want(200, "").wantHeader("Idempotent-Replayed", "")
}

// timeless leaves the ids as they are.
func timeless(body string) string {
	before, _, _ := strings.Cut(body, `"processing_time_ms"`)
	return before
}

// A key belongs to its organization, and a refused request leaves it unused.
func TestIdempotencyKeyScope(t *testing.T) {
	e := newEdge(t)
	e.sync(strings.Replace(goodSync, `"id":"1"`, `"id":""`, 1), withKey("k")).want(400, codeValidationFailed)
	e.sync(goodSync, withKey("k")).want(200, "").wantHeader("Idempotent-Replayed", "")
	e.key = e.makeKey(testOrg, testStore)
	e.sync(goodSync, withKey("k")).want(200, "").wantHeader("Idempotent-Replayed", "true")
	e.key = e.makeKey("org_other", "vs_other")
	e.sync(strings.Replace(goodSync, "org_acme", "org_other", 1), withKey("k")).want(200, "").wantHeader("Idempotent-Replayed", "")
}

func TestBadIdempotencyKeys(t *testing.T) {
	e := newEdge(t)
	send := func(values ...string) *reply {
		r := httptest.NewRequest("POST", "/v1/pipeline/sync", strings.NewReader(goodSync))
		r.Header.Set("X-API-Key", e.key)
		r.Header["Idempotency-Key"] = values
		return e.serve(r)
	}
	for name, values := range map[string][]string{
		"empty":                {""},
		"empty in quotes":      {`""`},
		"256 characters":       {strings.Repeat("k", 256)},
		"a space":              {"a b"},
		"a space in quotes":    {`"a b"`},
		"not ASCII":            {"schlüssel"},
		"a control character":  {"a\x7f"},
		"no end":               {`"a`},
		"an end, then more":    {`"a"b`},
		"a backslash at last":  {`"a\"`},
		"an escape of nothing": {`"\a"`},
		"two":                  {"a", "b"},
		"the same twice":       {"a", "a"},
	} {
		got := send(values...).want(http.StatusBadRequest, codeValidationFailed).failure()
		if got.Details[0].Field != "Idempotency-Key" || !strings.Contains(got.Message, "Idempotency-Key") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	send(strings.Repeat("~", 255)).want(200, "")
	send(`"`+strings.Repeat("!", 255)+`"`).want(200, "")
	send(`a"\b`).want(200, "")
	send(`"a\"\\b"`).want(200, "").wantHeader("Idempotent-Replayed", "true")
}
