package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const dryRun = "/v1/pipeline/sync?dry_run=true"

// A dry run tells what the sync itself tells then, and leaves no trace.
func TestDryRun(t *testing.T) {
	e := newEdge(t)
	e.syncAt("11:00:01", "", up("n", "1", "1"), up("n", "2", "1")).want(200, "")
	body := `{"organization_id":"org_acme","sync_mode":"full_refresh","sync_timestamp":"2026-03-01T11:00:02Z",
		"checkpoint":{"pipeline":"p","state":1},"operations":[` + up("n", "1", "2") + `,` + down("m", "1") + `]}`
	for range 9 { // more than the window admits
		dry := e.do("POST", dryRun, body, header{"Idempotency-Key", "not a key"}).want(200, "").wantHeader("X-RateLimit-Remaining", "4")
		want := `{"status":"success","dry_run":true,"processed":2,"results":{"upserted":1,"deleted":1,"failed":0,"skipped":0},` +
			`"by_namespace":{"n":{"upserted":1,"deleted":0,"failed":0,"skipped":0},"m":{"upserted":0,"deleted":1,"failed":0,"skipped":0}},` +
			`"details":{"created":0,"updated":1,"unchanged":1,"removed":1},"index":3,"processing_time_ms":0}`
		if diff := cmp.Diff(want, masked(dry.body)); diff != "" {
			t.Fatal(diff)
		}
	}
	e.do("GET", "/v1/pipeline/checkpoints/p", "").want(404, codeCheckpointNotFound)
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/m", "").want(404, codeNamespaceNotFound)
	guarded := strings.Replace(body, "{", `{"max_delete_percent":49.999,`, 1)
	e.do("POST", dryRun, guarded).want(409, codeDeleteGuard)
	e.do("POST", dryRun, strings.Replace(body, "11:00:02", "11:00:00", 1)).want(409, codeStaleRefresh)
	e.do("POST", dryRun, `{}`).want(400, codeValidationFailed)
	for _, param := range []string{"stale", "stale&max_staleness=1s", "newest"} {
		if f := e.do("POST", dryRun+"&consistency="+param, body).want(400, codeValidationFailed).failure(); f.Details[0].Field != "consistency" {
			t.Errorf("%s: %+v", param, f)
		}
	}
	e.do("POST", dryRun+"&consistency=linearizable", body).want(200, "")
	e.do("POST", "/v1/pipeline/sync?dry_run=1", body).want(400, codeValidationFailed)
	e.do("POST", "/v1/pipeline/sync?dry_run=false", body).want(200, "").wantHeader("X-RateLimit-Remaining", "3")
}

// What is in the future is told by the members' clocks, not by this machine's alone.
func TestWallTimeOfADryRun(t *testing.T) {
	e := newEdge(t)
	at := func(time string) string {
		return strings.Replace(goodSync, "{", `{"sync_timestamp":"2026-03-01T`+time+`Z",`, 1)
	}
	e.do("POST", dryRun, at("12:05:00")).want(200, "")
	e.do("POST", dryRun, at("12:05:01")).want(400, codeTimestampInFuture)
	e.log.advance(time.Second)
	e.do("POST", dryRun, at("12:05:01")).want(200, "")
}

func TestDryRunsAtOnceAreBounded(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.Limits.MaxDryRuns = 1 })
	begun, done := make(chan struct{}), make(chan struct{})
	e.cluster.readIndex = func(context.Context) (uint64, error) {
		close(begun)
		<-done
		return e.log.sm.Applied(), nil
	}
	first := make(chan *reply)
	go func() { first <- e.do("POST", dryRun, goodSync) }()
	<-begun
	e.do("POST", dryRun, goodSync).want(503, codeOverloaded)
	close(done)
	(<-first).want(200, "")
	e.cluster.readIndex = nil
	e.do("POST", dryRun, goodSync).want(200, "")
}
