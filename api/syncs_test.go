package api

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/cluster"
	"pipesync/fsm"
)

func TestPastSyncFieldForField(t *testing.T) {
	e := newEdge(t)
	body := `{"organization_id":"org_acme","sync_mode":"incremental","sync_timestamp":"2026-03-01T10:00:00.5+01:00","operations":[` +
		up("zeta", "1", "1") + `,` + up("alpha", "2", "1") + `,` + down("zeta", "3") + `]}`
	var done struct {
		SyncID string `json:"sync_id"`
	}
	e.sync(body, header{"Idempotency-Key", "k"}).want(200, "").decode(&done)
	e.sync(body, header{"Idempotency-Key", "k"}).want(200, "").wantHeader("Idempotent-Replayed", "true")
	want := `{"sync_id":"sync_X","index":3,"applied_at":"2026-03-01T12:00:00Z","key_id":"key_X","vector_store_id":"vs_main",` +
		`"sync_mode":"incremental","sync_timestamp":"2026-03-01T09:00:00.5Z","idempotent":true,"processed":3,` +
		`"results":{"upserted":2,"deleted":1,"failed":0,"skipped":0},"namespaces":2,` +
		`"by_namespace":{"zeta":{"upserted":1,"deleted":1,"failed":0,"skipped":0},"alpha":{"upserted":1,"deleted":0,"failed":0,"skipped":0}},` +
		`"details":{"created":2,"updated":0,"unchanged":1,"removed":0}}`
	one := e.do("GET", "/v1/pipeline/syncs/"+done.SyncID, "").want(200, "").wantHeader("X-Pipesync-Index", "4")
	if diff := cmp.Diff(want, masked(one.body)); diff != "" {
		t.Error(diff)
	}
	e.do("GET", "/v1/pipeline/syncs", "").want(200, "").wantBody(`{"syncs":[` + one.body + `],"next_cursor":null}`)

	e.log.advance(1)
	e.refreshAt("11:00:00", down("n", "1")).want(200, "")
	list := e.do("GET", "/v1/pipeline/syncs?limit=1", "").want(200, "").body
	if !strings.Contains(list, `"sync_mode":"full_refresh","sync_timestamp":"2026-03-01T11:00:00Z","idempotent":false`) {
		t.Errorf("the newest is not first: %s", list)
	}
}

func TestSyncsInPages(t *testing.T) {
	e := newEdge(t)
	e.mustApply(&fsm.StoreCreate{RequestID: mintRequestID(), Org: testOrg, Store: "vs_other"})
	var all, other []string
	for i := range 7 {
		var done struct {
			SyncID string `json:"sync_id"`
		}
		body := goodSync
		if i%3 == 0 {
			body = strings.Replace(goodSync, "{", `{"vector_store_id":"vs_other",`, 1)
		}
		e.sync(body).want(200, "").decode(&done)
		e.log.advance(61e9)
		all = append([]string{done.SyncID}, all...)
		if i%3 == 0 {
			other = append([]string{done.SyncID}, other...)
		}
	}
	e.do("GET", "/v1/pipeline/syncs?vector_store_id=vs_none", "").want(200, "").wantBody(`{"syncs":[],"next_cursor":null}`)
	for _, limit := range []int{1, 2, 7, 8, 1000} {
		if diff := cmp.Diff(all, e.syncIDs("", limit)); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
		if diff := cmp.Diff(other, e.syncIDs("vs_other", limit)); diff != "" {
			t.Errorf("of a store, limit %d: %s", limit, diff)
		}
	}
}

// syncIDs reads the history page by page, while it grows.
func (e *edge) syncIDs(store string, limit int) (ids []string) {
	e.t.Helper()
	cursor := ""
	for {
		var page struct {
			Syncs []struct {
				SyncID string `json:"sync_id"`
			} `json:"syncs"`
			NextCursor *string `json:"next_cursor"`
		}
		e.do("GET", fmt.Sprintf("/v1/pipeline/syncs?vector_store_id=%s&limit=%d&cursor=%s", store, limit, url.QueryEscape(cursor)), "").
			want(200, "").decode(&page)
		for _, s := range page.Syncs {
			ids = append(ids, s.SyncID)
		}
		if page.NextCursor == nil {
			return ids
		}
		cursor = *page.NextCursor
	}
}

func TestSyncsAreTheOrganizationsOwn(t *testing.T) {
	e := newEdge(t)
	var done struct {
		SyncID string `json:"sync_id"`
	}
	e.sync(goodSync).want(200, "").decode(&done)
	e.sync(goodSync).want(200, "")
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	e.do("GET", "/v1/pipeline/syncs?limit=1", "").want(200, "").decode(&page)
	e.do("GET", "/v1/pipeline/syncs?vector_store_id=vs_main&cursor="+page.NextCursor, "").want(410, codeCursorExpired)
	e.do("GET", "/v1/pipeline/syncs?cursor="+cursor{scope: mustCursor(t, page.NextCursor).scope, after: "x"}.encode(), "").want(400, codeValidationFailed)
	e.key = e.makeKey("org_other", "")
	e.do("GET", "/v1/pipeline/syncs/"+done.SyncID, "").want(404, codeSyncNotFound)
	e.do("GET", "/v1/pipeline/syncs", "").want(200, "").wantBody(`{"syncs":[],"next_cursor":null}`)
	e.do("GET", "/v1/pipeline/syncs?cursor="+page.NextCursor, "").want(410, codeCursorExpired)
	e.do("GET", "/v1/pipeline/syncs", "", header{"X-API-Key", ""}).want(401, codeMissingAPIKey)
}

func mustCursor(t *testing.T, text string) cursor {
	t.Helper()
	c, ok := decodeCursor(text)
	if !ok {
		t.Fatalf("%q is no cursor", text)
	}
	return c
}

// A sync whose outcome is told as unknown is found by the id in the error, once
// it is applied.
func TestUnknownSyncIsFoundByItsID(t *testing.T) {
	e := newEdge(t, shortSyncs)
	var late []byte
	e.cluster.propose = func(_ context.Context, body []byte) ([]byte, error) {
		late = body
		return nil, cluster.ErrOutcomeUnknown
	}
	id := e.sync(goodSync).want(503, codeOutcomeUnknown).failure().SyncID
	e.do("GET", "/v1/pipeline/syncs/"+id, "").want(404, codeSyncNotFound)
	if _, err := e.log.apply(late); err != nil {
		t.Fatal(err)
	}
	e.do("GET", "/v1/pipeline/syncs/"+id, "").want(200, "")
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) { return nil, cluster.ErrNoLeader }
	if r := e.sync(goodSync).want(503, codeNoLeader); strings.Contains(r.body, "sync_id") {
		t.Errorf("nothing was applied: %s", r.body)
	}
}

// A page of large syncs ends before its limit: those with a key are listed with
// all their namespaces.
func TestSyncsPageEndsByBytes(t *testing.T) {
	e := newEdge(t)
	name := strings.Repeat("🦀", 250)
	var ops []string
	for i := range 5000 {
		ops = append(ops, down(fmt.Sprint(name, i), "1"))
	}
	for i := range 3 {
		e.sync(`{"organization_id":"org_acme","sync_mode":"incremental","operations":[`+strings.Join(ops, ",")+`]}`,
			header{"Idempotency-Key", fmt.Sprint("k", i)}).want(200, "")
	}
	r := e.do("GET", "/v1/pipeline/syncs", "").want(200, "")
	var page struct {
		Syncs []struct {
			Namespaces  int            `json:"namespaces"`
			ByNamespace map[string]any `json:"by_namespace"`
		} `json:"syncs"`
		NextCursor *string `json:"next_cursor"`
	}
	r.decode(&page)
	if len(page.Syncs) != 2 || page.NextCursor == nil || page.Syncs[0].Namespaces != 5000 || len(page.Syncs[1].ByNamespace) != 5000 {
		t.Errorf("%d bytes, %d syncs, cursor %v", len(r.body), len(page.Syncs), page.NextCursor)
	}
	if ids := e.syncIDs("", 100); len(ids) != 3 {
		t.Errorf("%d syncs in all pages", len(ids))
	}
}

// A page ends too where it has read much and found little.
func TestSyncsPageEndsByReads(t *testing.T) {
	e := newEdge(t)
	for range 5 {
		e.sync(goodSync).want(200, "")
	}
	view, err := e.log.sm.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	l := syncList{store: "vs_other", page: page{limit: 10}, maxRead: 2}
	for before, want := uint64(0), []bool{true, true, false}; len(want) > 0; before, want = l.last, want[1:] {
		more, err := l.appendSyncs(view, testOrg, before)
		if more != want[0] || err != nil || len(l.body) != 0 {
			t.Fatalf("from %d: more %v, %v, %s", before, more, err, l.body)
		}
	}
}
