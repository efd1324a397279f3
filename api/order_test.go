package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pipesync/fsm"
)

func up(ns, id, data string) string {
	return fmt.Sprintf(`{"action":"upsert","id":%q,"namespace":%q,"data":{"v":%s}}`, id, ns, data)
}

func down(ns, id string) string {
	return fmt.Sprintf(`{"action":"delete","id":%q,"namespace":%q}`, id, ns)
}

// syncAt sends an incremental sync of a time of the harness's first day; fields
// are further fields of the request, each with a comma after it.
func (e *edge) syncAt(clock, fields string, ops ...string) *reply {
	e.t.Helper()
	return e.sync(fmt.Sprintf(`{"organization_id":"org_acme","sync_mode":"incremental",%s"sync_timestamp":"2026-03-01T%sZ","operations":[%s]}`,
		fields, clock, strings.Join(ops, ",")))
}

func (e *edge) refreshAt(clock string, ops ...string) *reply {
	e.t.Helper()
	return e.sync(fmt.Sprintf(`{"organization_id":"org_acme","sync_mode":"full_refresh","sync_timestamp":"2026-03-01T%sZ","operations":[%s]}`,
		clock, strings.Join(ops, ",")))
}

// collect has all tombstones of a namespace collected, once they may be. It has
// not been refreshed.
func (e *edge) collect(ns string) {
	e.t.Helper()
	e.log.advance(2 * time.Minute)
	view, err := e.log.sm.View()
	if err != nil {
		e.t.Fatal(err)
	}
	store, _, err := view.Store(testOrg, testStore)
	view.Close()
	if err != nil {
		e.t.Fatal(err)
	}
	c := &fsm.Collect{RequestID: mintRequestID(), Store: store.Num, Namespace: ns, Until: "\xff", Before: e.log.clusterTime, Generation: 1}
	e.mustApply(c)
}

func (e *edge) data(ns, id string) string {
	e.t.Helper()
	var rec struct {
		Data struct {
			V int `json:"v"`
		} `json:"data"`
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/"+ns+"/records/"+id, "").want(200, "").decode(&rec)
	return fmt.Sprint(rec.Data.V)
}

// TestSkippedOperationsAreTold has the whole reply of a sync of which some
// operations came too late.
func TestSkippedOperationsAreTold(t *testing.T) {
	e := newEdge(t)
	e.syncAt("11:00:02", "", up("n", "1", "2"), down("n", "2")).want(200, "")
	r := e.syncAt("11:00:01", `"on_stale":"skip",`, up("n", "1", "1"), up("n", "2", "1"), up("n", "2", "3"), up("m", "1", "1"), down("n", "3")).want(200, "")
	want := `{"status":"success","sync_id":"sync_X","processed":5,` +
		`"results":{"upserted":1,"deleted":1,"failed":0,"skipped":3},` +
		`"by_namespace":{"n":{"upserted":0,"deleted":1,"failed":0,"skipped":3},` +
		`"m":{"upserted":1,"deleted":0,"failed":0,"skipped":0}},` +
		`"details":{"created":1,"updated":0,"unchanged":1,"removed":0},` +
		`"warnings":[{"code":"STALE_OPERATIONS_SKIPPED","count":3}],"index":4,"processing_time_ms":0}`
	if diff := cmp.Diff(want, masked(r.body)); diff != "" {
		t.Error(diff)
	}
	if got := e.data("n", "1"); got != "2" {
		t.Errorf("a late upsert overwrote a newer one: %s", got)
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records/2", "").want(404, codeRecordNotFound)
}

// TestRejectedSyncsLeaveNothing: a refusal for the order writes nothing and
// counts for nothing.
func TestRejectedSyncsLeaveNothing(t *testing.T) {
	e := newEdge(t)
	e.syncAt("11:00:02", "", up("n", "1", "2")).want(200, "")
	for range 7 { // more than the window has room for
		e.syncAt("11:00:01", `"on_stale":"reject",`, up("n", "2", "1"), up("n", "1", "1")).
			want(409, codeStaleSync).wantHeader("X-RateLimit-Remaining", "4")
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records/2", "").want(404, codeRecordNotFound)
	e.syncAt("11:00:02", `"on_stale":"reject",`, up("n", "2", "1"), up("n", "1", "3")).want(200, "")
	if got := e.data("n", "1"); got != "3" {
		t.Errorf("at equal timestamps the later sync doesn't win: %s", got)
	}
}

func TestReusedRefreshTimestampNamesTheCause(t *testing.T) {
	e := newEdge(t)
	e.refreshAt("11:00:01", up("n", "1", "1"), up("n", "2", "1")).want(200, "")
	e.refreshAt("11:00:01", up("n", "2", "1"), up("n", "1", "1")).want(200, "") // sent again
	got := e.refreshAt("11:00:01", up("n", "3", "1")).want(409, codeRefreshTimestampReused).failure()
	if !strings.Contains(got.Message, "can't be sent in pages") {
		t.Errorf("message %q", got.Message)
	}
	if got := e.data("n", "1"); got != "1" {
		t.Errorf("the first page is gone: %s", got)
	}
	// Another namespace at the same time is no page of this one.
	e.refreshAt("11:00:01", up("m", "1", "1")).want(200, "")
}

func TestTimestampsInTheFuture(t *testing.T) {
	e := newEdge(t)
	e.syncAt("12:05:00", "", up("n", "1", "1")).want(200, "") // the clock says 12:00
	e.syncAt("12:05:00.000000001", "", up("n", "1", "2")).want(400, codeTimestampInFuture)
	e.sync(goodSync).want(200, "") // without a timestamp it is newer than all that it meets
	e.syncAt("12:04:59", `"on_stale":"reject",`, up("n", "1", "4")).want(409, codeStaleSync)
}

func TestDeleteGuardTellsItsFigures(t *testing.T) {
	e := newEdge(t)
	var ops []string
	for i := range 7 {
		ops = append(ops, up("n", fmt.Sprint(i), "1"))
	}
	e.syncAt("11:00:01", "", ops...).want(200, "")
	got := e.syncAt("11:00:02", `"max_delete_percent":28.5,`, down("n", "1"), down("n", "2")).want(409, codeDeleteGuard)
	const rule = "allows 28.5 % of the live records to be removed; these are 2 of 7, 28.572 %"
	want := `"details":[{"field":"max_delete_percent","code":"DELETE_GUARD","message":"` + rule +
		`","figures":{"live":7,"removed":2,"percent":28.572,"limit":28.5}}],"details_total":1`
	if !strings.Contains(got.body, want) || got.failure().Message != "max_delete_percent "+rule {
		t.Errorf("got %s", got.body)
	}
	e.syncAt("11:00:02", `"max_delete_percent":0,`, down("n", "1")).want(409, codeDeleteGuard) // 0 isn't none
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records/1", "").want(200, "")
	e.syncAt("11:00:02", `"max_delete_percent":28.572,`, down("n", "1"), down("n", "2")).want(200, "")
	e.refreshAt("11:00:03", down("n", "1")).want(200, "")
}

func TestPercent(t *testing.T) {
	for thousandths, want := range map[uint64]string{0: "0", 1: "0.001", 20: "0.02", 300: "0.3", 1000: "1", 12_345: "12.345", 100_000: "100"} {
		if got := percent(thousandths); string(got) != want {
			t.Errorf("%d is %s, want %s", thousandths, got, want)
		}
	}
}
