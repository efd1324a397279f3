package api

import (
	"fmt"
	"strings"
	"testing"
)

func TestLimits(t *testing.T) {
	e := newEdge(t)
	body := func(org string, own, effective int) string {
		const quotas = `,"bytes_per_window":0,"records_max":0,"bytes_max":0,"tombstones_max":0,"namespaces_max":0`
		return fmt.Sprintf(`{"organization_id":%q,"limits":{"requests_per_window":%d`+quotas+`},"effective":{"requests_per_window":%d`+quotas+`},`+
			`"usage":{"records":0,"bytes":0,"tombstones":0,"namespaces":0,"digest":"00000000000000000000000000000000"}}`, org, own, effective)
	}
	e.do("GET", "/v1/admin/limits/org_acme", "").want(200, "").wantBody(body("org_acme", 0, 5))
	e.do("PATCH", "/v1/admin/limits/org_acme", `{"requests_per_window":2}`).want(200, "").wantBody(body("org_acme", 2, 2))
	for range 2 {
		e.sync(noSync).want(200, "").wantHeader("X-RateLimit-Limit", "2")
	}
	e.sync(noSync).want(429, codeRateLimitExceeded)
	e.do("PATCH", "/v1/admin/limits/org_acme", `{"requests_per_window":0}`).want(200, "").wantBody(body("org_acme", 0, 5))
	e.sync(noSync).want(200, "").wantHeader("X-RateLimit-Limit", "5")

	// An organization may get its limits before it gets its first key.
	e.do("GET", "/v1/admin/limits/org_new", "").want(404, codeOrganizationNotFound)
	e.do("PATCH", "/v1/admin/limits/org_new", `{"requests_per_window":10000}`).want(200, "").wantBody(body("org_new", 10_000, 10_000))
	e.do("GET", "/v1/admin/limits/org_new", "").want(200, "").wantBody(body("org_new", 10_000, 10_000))
}

func TestLimitsAreChecked(t *testing.T) {
	e := newEdge(t)
	before := e.log.sm.Applied()
	for path, message := range map[string]string{
		"org_acme": "requests_per_window must be a whole number from 0 to 10000",
		"acme":     `organization_id must be "org_" followed by 1 to 64 letters, digits, underscores or hyphens`,
	} {
		got := e.do("PATCH", "/v1/admin/limits/"+path, `{"requests_per_window":10001}`).want(400, codeValidationFailed).failure()
		if got.Message != message {
			t.Errorf("%s: %q, want %q", path, got.Message, message)
		}
	}
	if after := e.log.sm.Applied(); after != before {
		t.Errorf("%d entries were written", after-before)
	}
}

// noSync counts, and stores nothing.
const noSync = `{"organization_id":"org_acme","sync_mode":"incremental","operations":[]}`

func TestUsage(t *testing.T) {
	e := newEdge(t)
	e.push(`{"action":"upsert","id":"äß","namespace":"n","data":{"a": 1},"source_system":"crm","file":{},"created_at":"2026-01-01T00:00:00Z"}`)
	e.push(`{"action":"upsert","id":"2","namespace":"m"},{"action":"delete","id":"3","namespace":"m"}`)
	for path, digest := range map[string]string{
		"/v1/admin/limits/org_acme": "20b06f6f48138dab8995662a0a99d72f",
		"/v1/admin/status":          "8be927213413a8220152b5965bd473e1",
		"/v1/admin/stores":          "ee9e5ff054de7427baf7ad40c7a5c7aa",
	} {
		usage := `"usage":{"records":2,"bytes":38,"tombstones":1,"namespaces":2,"digest":"` + digest + `"}`
		if got := e.do("GET", path, "").want(200, "").body; !strings.Contains(got, usage) {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := e.do("GET", "/v1/vector-stores/vs_main/namespaces/n", "").want(200, "").body; !strings.Contains(got, `"records":1,"bytes":37,`) {
		t.Error(got)
	}
}

func TestQuotaIsNamed(t *testing.T) {
	e := newEdge(t)
	e.do("PATCH", "/v1/admin/limits/org_acme", `{"bytes_max":9}`).want(200, "")
	e.push(`{"action":"upsert","id":"1","namespace":"n","data":{"a":1}}`)
	got := e.sync(strings.Replace(goodSync, `"id":"1"`, `"id":"22"`, 1)).want(403, codeQuotaExceeded).failure()
	const rule = "would be 10, and may be at most 9"
	if got.Message != "the organization's quota bytes_max "+rule || got.DetailsTotal != 1 ||
		got.Details[0] != (detail{Field: "bytes_max", Code: "QUOTA_EXCEEDED", Message: rule}) {
		t.Errorf("%+v", got)
	}
	e.push(`{"action":"delete","id":"1","namespace":"n"},{"action":"upsert","id":"22","namespace":"n"}`)
}
