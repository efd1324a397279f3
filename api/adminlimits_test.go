package api

import (
	"fmt"
	"testing"
)

func TestLimits(t *testing.T) {
	e := newEdge(t)
	body := func(org string, own, effective int) string {
		return fmt.Sprintf(`{"organization_id":%q,"limits":{"requests_per_window":%d},"effective":{"requests_per_window":%d}}`, org, own, effective)
	}
	e.do("GET", "/v1/admin/limits/org_acme", "").want(200, "").wantBody(body("org_acme", 0, 5))
	e.do("PATCH", "/v1/admin/limits/org_acme", `{"requests_per_window":2}`).want(200, "").wantBody(body("org_acme", 2, 2))
	for range 2 {
		e.sync(goodSync).want(200, "").wantHeader("X-RateLimit-Limit", "2")
	}
	e.sync(goodSync).want(429, codeRateLimitExceeded)
	e.do("PATCH", "/v1/admin/limits/org_acme", `{"requests_per_window":0}`).want(200, "").wantBody(body("org_acme", 0, 5))
	e.sync(goodSync).want(200, "").wantHeader("X-RateLimit-Limit", "5")

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
