package api

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pipesync/cluster"
	"pipesync/fsm"
)

// masked replaces what differs from run to run.
func masked(body string) string {
	body = regexp.MustCompile(`(sync|req|key)_[0-9a-hjkmnp-tv-z]{26}`).ReplaceAllString(body, `${1}_X`)
	return regexp.MustCompile(`"processing_time_ms":\d+`).ReplaceAllString(body, `"processing_time_ms":0`)
}

func TestSyncReplyFieldForField(t *testing.T) {
	e := newEdge(t)
	body := `{"organization_id":"org_acme","vector_store_id":"vs_main","sync_mode":"incremental",
		"sync_timestamp":"2026-02-28T10:00:00Z","operations":[
		{"action":"upsert","id":"1","namespace":"zeta","data":{"a":1}},
		{"action":"upsert","id":"2","namespace":"alpha"},
		{"action":"upsert","id":"2","namespace":"alpha","data":{}},
		{"action":"delete","id":"3","namespace":"zeta"}]}`
	want := `{"status":"success","sync_id":"sync_X","processed":4,` +
		`"results":{"upserted":3,"deleted":1,"failed":0,"skipped":0},` +
		`"by_namespace":{"zeta":{"upserted":1,"deleted":1,"failed":0,"skipped":0},` +
		`"alpha":{"upserted":2,"deleted":0,"failed":0,"skipped":0}},` +
		`"details":{"created":2,"updated":0,"unchanged":1,"removed":0},"index":3,"processing_time_ms":0}`
	for i, route := range []string{"/v1/pipeline/sync", "/v1/connectors/pipeline/sync"} {
		r := e.do("POST", route, body).want(200, "")
		if i == 0 {
			if diff := cmp.Diff(want, masked(r.body)); diff != "" {
				t.Error(diff)
			}
		}
		r.wantHeader("Content-Type", "application/json").
			wantHeader("X-RateLimit-Limit", "5").
			wantHeader("X-RateLimit-Remaining", strconv.Itoa(4-i)).
			wantHeader("X-RateLimit-Reset", "61").
			wantHeader("RateLimit-Policy", `"syncs";q=5;w=60`).
			wantHeader("RateLimit", `"syncs";r=`+strconv.Itoa(4-i)+`;t=61`)
	}
}

func TestSyncRateLimit(t *testing.T) {
	e := newEdge(t)
	for range 5 {
		e.sync(goodSync).want(200, "")
	}
	e.log.advance(20 * time.Second)
	e.sync(goodSync).want(429, codeRateLimitExceeded).
		wantHeader("Retry-After", "41"). // 60.06 s − 20 s, rounded up
		wantHeader("X-RateLimit-Remaining", "0").
		wantHeader("X-RateLimit-Reset", "41")
	e.log.advance(41 * time.Second)
	e.sync(goodSync).want(200, "").wantHeader("X-RateLimit-Remaining", "4")
}

// TestRateLimitHeadersOnErrors: a refusal of this node has them too, and the
// estimate of cluster time decides them.
func TestRateLimitHeadersOnErrors(t *testing.T) {
	var now int64
	e := newEdge(t, func(d *Deps) { d.ClusterTime = func() int64 { return now } })
	e.sync(goodSync).want(200, "")
	e.sync(`{`).want(400, codeMalformedJSON).
		wantHeader("X-RateLimit-Limit", "5").wantHeader("X-RateLimit-Remaining", "4").wantHeader("X-RateLimit-Reset", "61")
	now = e.log.clusterTime + int64(50*time.Second)
	e.sync(`{`).want(400, codeMalformedJSON).wantHeader("X-RateLimit-Remaining", "4").wantHeader("X-RateLimit-Reset", "11")
	now = e.log.clusterTime + int64(61*time.Second)
	e.sync(`{`).want(400, codeMalformedJSON).wantHeader("X-RateLimit-Remaining", "5").wantHeader("X-RateLimit-Reset", "0")
	e.sync(goodSync, header{"X-API-Key", ""}).want(401, codeMissingAPIKey).wantHeader("X-RateLimit-Limit", "")
}

func TestSyncNamesEveryProblem(t *testing.T) {
	e := newEdge(t)
	got := e.sync(`{"organization_id":"org_acme","sync_mode":"incremental","operations":[
		{"action":"upsert","id":"ok","namespace":"n"},
		{"action":"replace","id":"1","namespace":"n"},
		{"action":"delete","id":"2","namespace":"n","data":{}}]}`).want(400, codeValidationFailed).failure()
	if got.DetailsTotal != 2 || *got.Details[0].Index != 1 || got.Details[1].Namespace != "n" || got.Details[1].ID != "2" {
		t.Errorf("got %+v", got)
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/n", "").want(404, codeNamespaceNotFound)
}

func TestSyncWithoutDefaultStore(t *testing.T) {
	e := newEdge(t)
	e.mustApply(&fsm.StoreCreate{RequestID: mintRequestID(), Org: testOrg, Store: "vs_other"})
	e.key = e.makeKey(testOrg, "")
	got := e.sync(goodSync).want(400, codeValidationFailed).failure()
	fields := []string{got.Details[0].Field, got.Details[1].Field}
	if diff := cmp.Diff([]string{"sync_timestamp", "vector_store_id"}, fields); diff != "" {
		t.Error(diff)
	}
	full := strings.Replace(goodSync, "{", `{"sync_timestamp":"2026-01-01T00:00:00Z","vector_store_id":"vs_other",`, 1)
	e.sync(full).want(200, "")
	e.do("GET", "/v1/vector-stores/vs_other/namespaces/n/records/1", "").want(200, "")
	e.sync(strings.Replace(full, "vs_other", "vs_none", 1)).want(404, codeVectorStoreNotFound)
}

func TestOtherOrganizationsStoreIsNotFound(t *testing.T) {
	e := newEdge(t)
	e.makeKey("org_other", "vs_theirs")
	e.sync(strings.Replace(goodSync, "{", `{"vector_store_id":"vs_theirs",`, 1)).want(404, codeVectorStoreNotFound)
	e.do("GET", "/v1/vector-stores/vs_theirs/namespaces", "").want(404, codeVectorStoreNotFound)
}

// TestOutcomeUnknownRetryable: a sync with a timestamp may be sent again, one
// without could undo a newer writer's work.
func TestOutcomeUnknownRetryable(t *testing.T) {
	e := newEdge(t, shortSyncs)
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) { return nil, cluster.ErrOutcomeUnknown }
	stamped := strings.Replace(goodSync, "{", `{"sync_timestamp":"2026-01-01T00:00:00Z",`, 1)
	if !e.sync(stamped).want(503, codeOutcomeUnknown).failure().Retryable {
		t.Error("with sync_timestamp: not retryable")
	}
	if e.sync(goodSync).want(503, codeOutcomeUnknown).failure().Retryable {
		t.Error("without sync_timestamp: retryable")
	}
	if !e.sync(goodSync, header{"Idempotency-Key", "k"}).want(503, codeOutcomeUnknown).failure().Retryable {
		t.Error("with a key: not retryable")
	}
	if e.do("POST", "/v1/admin/keys", `{"organization_id":"org_acme"}`).want(503, codeOutcomeUnknown).failure().Retryable {
		t.Error("a key's creation: retryable")
	}
}

// TestBytesOfTheWindow: what is over at once, and what has to wait for those before.
func TestBytesOfTheWindow(t *testing.T) {
	e := newEdge(t)
	e.do("PATCH", "/v1/admin/limits/org_acme", `{"bytes_per_window":3000}`).want(200, "")
	large := func(n int) string {
		return strings.Replace(goodSync, `"id"`, `"data":{"x":"`+strings.Repeat("x", n)+`"},"id"`, 1)
	}
	f := e.sync(large(3000)).want(403, codeQuotaExceeded).failure()
	if f.Retryable || len(f.Details) != 1 || f.Details[0].Field != "bytes_per_window" {
		t.Errorf("%+v", f)
	}
	e.sync(large(1000)).want(200, "")
	e.log.advance(20 * time.Second)
	e.sync(large(1500)).want(200, "")
	e.log.advance(10 * time.Second)
	if f := e.sync(large(1000)).want(429, codeRateLimitExceeded).wantHeader("Retry-After", "31").failure(); !strings.Contains(f.Message, "bytes") {
		t.Errorf("%+v", f)
	}
	e.sync(large(2000)).want(429, codeRateLimitExceeded).wantHeader("Retry-After", "51").wantHeader("X-RateLimit-Remaining", "3")
	e.log.advance(31 * time.Second)
	e.sync(large(1000)).want(200, "")
}

// TestTooManyRefusals: when to come back isn't when the window has room, which it has.
func TestTooManyRefusals(t *testing.T) {
	for wait, want := range map[uint32]string{1: "1", 1000: "1", 2001: "3"} {
		e := newEdge(t)
		e.cluster.propose = func(context.Context, []byte) ([]byte, error) {
			return (&fsm.Result{Outcome: fsm.TooManyRefusals, Sync: &fsm.SyncResult{
				Window: fsm.Window{Limit: 5, Remaining: 4, ResetMillis: 50_000, WindowMillis: 60_060}, RetryMillis: wait,
			}}).Encode(), nil
		}
		r := e.sync(goodSync).want(429, codeRateLimitExceeded).wantHeader("Retry-After", want).
			wantHeader("X-RateLimit-Remaining", "4").wantHeader("X-RateLimit-Reset", "50")
		if f := r.failure(); !f.Retryable || !strings.Contains(f.Message, "refused") {
			t.Errorf("%+v", f)
		}
	}
}

func TestSyncRefusedByTheLog(t *testing.T) {
	for outcome, code := range map[fsm.Outcome]Code{
		fsm.KeyRevoked: codeInvalidAPIKey, fsm.KeyNotFound: codeInvalidAPIKey,
		fsm.KeyExpired: codeInvalidAPIKey, fsm.KeyScopeDenied: codeKeyScopeDenied, fsm.OrgMismatch: codeOrganizationMismatch,
		fsm.StoreNotFound: codeVectorStoreNotFound, fsm.NotBootstrapped: codeNotReady,
		fsm.TimestampInFuture: codeTimestampInFuture, fsm.StaleSync: codeStaleSync, fsm.StaleRefresh: codeStaleRefresh,
		fsm.RefreshTimestampReused: codeRefreshTimestampReused, fsm.SyncTooOld: codeSyncTooOld,
		fsm.IdempotencyKeyReused: codeIdempotencyKeyReused, fsm.IdempotencyStoreFull: codeIdempotencyStoreFull,
		fsm.ReconcileBacklog: codeReconcileBacklog,
	} {
		e := newEdge(t)
		e.cluster.propose = func(context.Context, []byte) ([]byte, error) {
			return (&fsm.Result{Outcome: outcome}).Encode(), nil
		}
		e.sync(goodSync).want(errorRows[code].status, code).wantHeader("X-RateLimit-Limit", "5")
	}
}

func TestSyncDeadline(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.Limits.SyncTimeout = time.Millisecond })
	e.cluster.propose = func(ctx context.Context, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, cluster.ErrNoLeader
	}
	e.sync(goodSync).want(http.StatusServiceUnavailable, codeNoLeader).wantHeader("Retry-After", "1")
}

func TestIgnoreUnknownFields(t *testing.T) {
	body := strings.Replace(goodSync, "{", `{"connector_version":"1.2",`, 1)
	got := newEdge(t).sync(body).want(400, codeValidationFailed).failure()
	if got.Details[0].Field != "connector_version" {
		t.Errorf("got %+v", got.Details)
	}
	newEdge(t, func(d *Deps) { d.IgnoreUnknownFields = true }).sync(body).want(200, "")
}

// TestRefusalsNameTheField that has to be corrected.
func TestRefusalsNameTheField(t *testing.T) {
	e := newEdge(t)
	for field, body := range map[string]string{
		"organization_id": strings.Replace(goodSync, "org_acme", "org_other", 1),
		"vector_store_id": strings.Replace(goodSync, "{", `{"vector_store_id":"vs_none",`, 1),
	} {
		if got := e.sync(body).failure(); !strings.Contains(got.Message, field) {
			t.Errorf("%s %s does not name %s", got.Code, got.Message, field)
		}
	}
}
