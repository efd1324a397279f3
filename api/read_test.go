package api

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pipesync/cluster"
)

// awkwardData is JSON that any re-encoding would change.
const awkwardData = `{ "b" : 1.50e+03,"a":[ 9007199254740993 , "\u00e9<&>\/" ],` + "\t" + `"🦀":null }`

func TestRecordByteForByte(t *testing.T) {
	e := newEdge(t)
	e.sync(`{"organization_id":"org_acme","sync_mode":"incremental","sync_timestamp":"2026-01-02T03:04:05.120+01:00","operations":[
		{"action":"upsert","id":"1","namespace":"n","data":`+awkwardData+`,"source_system":"crm \"x\"",
		 "file":{"u" :"f"},"created_at":"2020-01-01T00:00:00Z","updated_at":"2021-01-01T00:00:00.5Z"},
		{"action":"upsert","id":"2","namespace":"n"}]}`).want(200, "")
	r := e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records/1", "").want(200, "").wantHeader("X-Pipesync-Index", "3")
	var full struct {
		Hash string `json:"content_hash"`
	}
	r.decode(&full)
	want := `{"id":"1","namespace":"n","data":` + awkwardData + `,"source_system":"crm \"x\"","file":{"u" :"f"},` +
		`"created_at":"2020-01-01T00:00:00Z","updated_at":"2021-01-01T00:00:00.5Z",` +
		`"sync_timestamp":"2026-01-02T02:04:05.12Z","sync_id":"sync_X","content_hash":"` + full.Hash + `","index":3}`
	if diff := cmp.Diff(want, masked(r.body)); diff != "" {
		t.Error(diff)
	}
	list := e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records", "").want(200, "")
	if !strings.HasPrefix(list.body, `{"records":[`+r.body+`,{"id":"2","namespace":"n","sync_timestamp":`) ||
		!strings.HasSuffix(list.body, `],"next_cursor":null}`) || len(full.Hash) != 32 {
		t.Errorf("got %s", list.body)
	}
}

// follow reads a list page by page and returns the values of one field.
func (e *edge) follow(path, list, field string, limit int) []string {
	e.t.Helper()
	var values []string
	cursor := ""
	for {
		var page map[string]any
		e.do("GET", fmt.Sprintf("%s?limit=%d&cursor=%s", path, limit, url.QueryEscape(cursor)), "").want(200, "").decode(&page)
		rows := page[list].([]any)
		for _, row := range rows {
			values = append(values, row.(map[string]any)[field].(string))
		}
		next, more := page["next_cursor"].(string)
		if !more {
			return values
		}
		if len(rows) != limit {
			e.t.Fatalf("a page of %d rows with a cursor, limit %d", len(rows), limit)
		}
		cursor = next
	}
}

func TestListsInPages(t *testing.T) {
	e := newEdge(t)
	var names, operations []string
	for i := range 7 {
		names = append(names, fmt.Sprintf("n%d", i))
		operations = append(operations, fmt.Sprintf(`{"action":"upsert","id":"n%d","namespace":"n%d"}`, i, i),
			fmt.Sprintf(`{"action":"upsert","id":"n%d","namespace":"all"}`, i))
	}
	e.push(strings.Join(operations, ","))
	for _, limit := range []int{1, 2, 7, 8, 1000} {
		const base = "/v1/vector-stores/vs_main/namespaces"
		if diff := cmp.Diff(append([]string{"all"}, names...), e.follow(base, "namespaces", "name", limit)); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
		if diff := cmp.Diff(names, e.follow(base+"/all/records", "records", "id", limit)); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
	}
}

// TestPageEndsByBytes: large records end a page before its limit.
func TestPageEndsByBytes(t *testing.T) {
	e := newEdge(t)
	big := strings.Repeat("x", 3<<20)
	for i := range 5 {
		e.push(fmt.Sprintf(`{"action":"upsert","id":"%d","namespace":"n","data":{"x":"%s"}}`, i, big))
	}
	var page struct {
		Records []struct {
			ID string `json:"id"`
		} `json:"records"`
		NextCursor string `json:"next_cursor"`
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records", "").want(200, "").decode(&page)
	if len(page.Records) != 3 || page.NextCursor == "" {
		t.Fatalf("%d records, cursor %q", len(page.Records), page.NextCursor)
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records?cursor="+page.NextCursor, "").want(200, "").decode(&page)
	if len(page.Records) != 2 || page.Records[0].ID != "3" {
		t.Errorf("the second page is %+v", page)
	}
}

func TestCursors(t *testing.T) {
	e := newEdge(t)
	e.push(`{"action":"upsert","id":"1","namespace":"n"},{"action":"upsert","id":"2","namespace":"n"},
		{"action":"upsert","id":"1","namespace":"m"}`)
	const base = "/v1/vector-stores/vs_main/namespaces"
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	e.do("GET", base+"/n/records?limit=1", "").want(200, "").decode(&page)
	ofList := page.NextCursor
	e.do("GET", base+"?limit=1", "").want(200, "").decode(&page)
	ofNamespaces := page.NextCursor

	e.do("GET", base+"/m/records?cursor="+ofList, "").want(410, codeCursorExpired)
	e.do("GET", base+"?cursor="+ofList, "").want(410, codeCursorExpired)
	e.do("GET", base+"/n/records?cursor=AAAA", "").want(400, codeValidationFailed)
	e.do("GET", base+"/n/records?cursor=%21", "").want(400, codeValidationFailed)
	for _, limit := range []string{"0", "1001", "-1", "x"} {
		e.do("GET", base+"?limit="+limit, "").want(400, codeValidationFailed)
	}
	e.push(`{"action":"upsert","id":"3","namespace":"n"}`) // an incremental sync leaves cursors alone
	e.do("GET", base+"/n/records?cursor="+ofList, "").want(200, "")
	e.sync(`{"organization_id":"org_acme","sync_mode":"full_refresh","operations":[{"action":"upsert","id":"9","namespace":"n"}]}`).want(200, "")
	e.do("GET", base+"/n/records?cursor="+ofList, "").want(410, codeCursorExpired)
	e.do("GET", base+"?cursor="+ofNamespaces, "").want(200, "")
}

// A node that has caught up since its start goes on serving stale reads while
// no leader is known, and a linearizable read needs nothing but its own index.
func TestReadsAroundAnElection(t *testing.T) {
	e := newEdge(t)
	const path = "/v1/vector-stores/vs_main/namespaces"
	status := cluster.Status{NodeID: "node_1", ClusterID: "cluster_1"}
	e.cluster.status = func() cluster.Status { return status }
	e.do("GET", path+"?consistency=stale", "").want(503, codeNotReady)
	status.CaughtUp = true
	e.do("GET", path+"?consistency=stale", "").want(200, "")
	status.CaughtUp = false
	e.do("GET", path, "").want(200, "")
}

// movedBack is a state in which a snapshot has undone what was waited for.
type movedBack struct{ State }

func (movedBack) WaitApplied(context.Context, uint64) error { return nil }

func TestAStateThatMovedBackIsNotServed(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.State = movedBack{d.State} })
	e.cluster.readIndex = func(context.Context) (uint64, error) { return e.log.sm.Applied() + 1, nil }
	e.do("GET", "/v1/vector-stores/vs_main/namespaces", "").want(503, codeNotReady)
}

// TestConsistency drives this node behind a leader that is ahead of it.
func TestConsistency(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.Limits.ReadTimeout = 20 * time.Millisecond })
	const path = "/v1/vector-stores/vs_main/namespaces"
	rounds := 0
	ahead := uint64(0)
	e.cluster.readIndex = func(context.Context) (uint64, error) {
		rounds++
		return e.log.sm.Applied() + ahead, nil
	}
	e.do("GET", path+"?consistency=stale", "").want(200, "")
	if rounds != 0 {
		t.Error("a stale read asked the leader")
	}
	e.do("GET", path, "").want(200, "")
	e.do("GET", path+"?consistency=linearizable", "").want(200, "")
	if rounds != 2 {
		t.Errorf("%d rounds for two linearizable reads", rounds)
	}
	e.do("GET", path+"?consistency=stale&max_staleness=1h", "").want(200, "")
	if rounds != 2 {
		t.Error("a fresh enough node asked the leader")
	}
	e.do("GET", path+"?consistency=stale&max_staleness=1ns", "").want(200, "")
	if rounds != 3 {
		t.Error("a node that is not fresh enough did not ask the leader")
	}
	ahead = 1
	e.do("GET", path, "").want(503, codeNotReady)
	e.do("GET", path+"?consistency=stale", "").want(200, "")
	e.do("GET", path+"?consistency=stale&min_index=2", "").want(200, "").wantHeader("X-Pipesync-Index", "2")
	e.do("GET", path+"?consistency=stale&min_index=3", "").want(503, codeNotReady)
	e.cluster.readIndex = func(context.Context) (uint64, error) { return 0, cluster.ErrNoLeader }
	e.do("GET", path, "").want(503, codeNoLeader)
	for _, q := range []string{"consistency=eventual", "max_staleness=1s", "consistency=stale&max_staleness=5", "min_index=x"} {
		e.do("GET", path+"?"+q, "").want(400, codeValidationFailed)
	}
}

func TestMinIndexIsAwaited(t *testing.T) {
	e := newEdge(t)
	got := make(chan *reply)
	go func() { got <- e.do("GET", "/v1/vector-stores/vs_main/namespaces?consistency=stale&min_index=3", "") }()
	e.push(`{"action":"upsert","id":"1","namespace":"n"}`)
	r := <-got
	r.want(200, "").wantHeader("X-Pipesync-Index", "3")
	if !strings.Contains(r.body, `"name":"n"`) {
		t.Errorf("got %s", r.body)
	}
}

// TestRevokedKeyCannotRead: the view that a linearizable read is served from
// decides, though the key was valid when the request came.
func TestRevokedKeyCannotRead(t *testing.T) {
	e := newEdge(t)
	e.cluster.readIndex = func(context.Context) (uint64, error) {
		e.do("DELETE", "/v1/admin/keys/"+keyIDOf(e.key), "").want(200, "")
		return e.log.sm.Applied(), nil
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces", "").want(401, codeInvalidAPIKey)
}

func keyIDOf(text string) string {
	id, _, _ := parseKey(text)
	return id
}

// TestNamespaceShape pins the fields of a namespace.
func TestNamespaceShape(t *testing.T) {
	e := newEdge(t)
	e.push(`{"action":"upsert","id":"1","namespace":"n"},{"action":"delete","id":"2","namespace":"n"}`)
	r := e.do("GET", "/v1/vector-stores/vs_main/namespaces/n", "").want(200, "")
	var n namespaceReply
	r.decode(&n)
	want := namespaceReply{Name: "n", Records: 1, Bytes: 1, Digest: n.Digest, Generation: 1, Index: 3, UpdatedAt: "2026-03-01T12:00:00Z"}
	if diff := cmp.Diff(want, n); diff != "" || len(n.Digest) != 32 {
		t.Errorf("%s\n%s", diff, r.body)
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces", "").want(200, "").wantBody(`{"namespaces":[` + r.body + `],"next_cursor":null}`)
}

func (r *reply) wantBody(want string) *reply {
	r.t.Helper()
	if r.body != want {
		r.t.Errorf("body %s, want %s", r.body, want)
	}
	return r
}
