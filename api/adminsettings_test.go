package api

import (
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	e := newEdge(t)
	body := func(limit, keys string) string {
		return `{"requests_per_window":` + limit + `,"window_ms":60060,"tombstone_retention_seconds":60,` +
			`"idempotency_retention_seconds":3600,"idempotency_keys_max":` + keys + `,` +
			`"history_retention_seconds":0,"history_syncs_max":1000,` +
			`"bytes_per_window":0,"records_max":0,"bytes_max":0,"tombstones_max":0,"namespaces_max":0,"store_namespaces_max":0,"dead_member_removal_seconds":0,"min_voters":0}`
	}
	e.do("GET", "/v1/admin/settings", "").want(200, "").wantBody(body("5", "4"))
	e.do("PATCH", "/v1/admin/settings", `{"idempotency_keys_max":0,"requests_per_window":2}`).want(200, "").wantBody(body("2", "0"))
	e.do("GET", "/v1/admin/settings", "").want(200, "").wantBody(body("2", "0"))
	for range 2 {
		e.sync(goodSync).want(200, "").wantHeader("X-RateLimit-Limit", "2")
	}
	e.sync(goodSync).want(429, codeRateLimitExceeded)
}

func TestSettingsAreChecked(t *testing.T) {
	e := newEdge(t)
	before := e.log.sm.Applied()
	for _, test := range []struct{ body, message string }{
		{``, "the body must name at least one figure to set"},
		{`{}`, "the body must name at least one figure to set"},
		{`[]`, "the body must be a JSON object"},
		{`{"window_ms":999}`, "window_ms must be a whole number from 1000 to 3600000"},
		{`{"window_ms":"1000"}`, "window_ms must be a whole number from 1000 to 3600000"},
		{`{"window_ms":1e6}`, "window_ms must be a whole number from 1000 to 3600000"},
		{`{"window_ms":-1}`, "window_ms must be a whole number from 1000 to 3600000"},
		{`{"window_ms":null}`, "window_ms must be a whole number from 1000 to 3600000"},
		{`{"windowms":1000}`, "windowms is not a field of this request"},
		{`{"zz":1,"aa":1,"window_ms":0}`, "3 problems; the first: aa is not a field of this request"},
	} {
		got := e.do("PATCH", "/v1/admin/settings", test.body).want(400, codeValidationFailed).failure()
		if got.Message != test.message {
			t.Errorf("%s: %q, want %q", test.body, got.Message, test.message)
		}
	}
	e.do("PATCH", "/v1/admin/settings", `{"window_ms":1000,"window_ms":1000}`).want(400, codeMalformedJSON)
	if after := e.log.sm.Applied(); after != before {
		t.Errorf("%d entries were written", after-before)
	}
	if allow := e.do("DELETE", "/v1/admin/settings", "").want(405, codeMethodNotAllowed).header.Get("Allow"); !strings.Contains(allow, "PATCH") {
		t.Errorf("Allow: %s", allow)
	}
}
