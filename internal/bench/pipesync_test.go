package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"pipesync/client"
	"pipesync/internal/bench/load"
	"pipesync/internal/testcluster"
)

func TestRepliesAreHeldAgainstTheJob(t *testing.T) {
	for _, c := range []struct {
		kind    string
		details client.Details
		fails   bool
	}{
		{load.Fresh, client.Details{Created: 5}, false},
		{load.Fresh, client.Details{Created: 4, Updated: 1}, true},
		{load.Update, client.Details{Updated: 5}, false},
		{load.Update, client.Details{Unchanged: 5}, true},
		{load.Repush, client.Details{Updated: 1, Unchanged: 4}, false},
		{load.Repush, client.Details{Unchanged: 4}, true},
	} {
		text, err := json.Marshal(client.SyncReply{Details: c.details})
		if err != nil {
			t.Fatal(err)
		}
		if err := checkReply(text, load.Job{Kind: c.kind, Operations: 5}); (err != nil) != c.fails {
			t.Errorf("%s: %+v: %v", c.kind, c.details, err)
		}
	}
}

// requestsOf are those of a job as a node gets them: path and body.
func requestsOf(t *testing.T, p *place, j load.Job) (paths []string, syncs []client.SyncRequest) {
	t.Helper()
	all, err := p.prepare(j)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range all {
		req, err := request(t.Context(), &testcluster.Node{HTTP: "http://node"})
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, req.URL.RequestURI())
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		var sync client.SyncRequest
		if j.Kind != load.Read {
			if err := json.Unmarshal(body, &sync); err != nil {
				t.Fatal(err)
			}
			if key := req.Header.Get("X-API-Key"); key != "key of "+sync.OrganizationID {
				t.Errorf("%s sends the %s", sync.OrganizationID, key)
			}
		}
		syncs = append(syncs, sync)
	}
	return paths, syncs
}

func TestPlacesSpreadWhatTheyAreGiven(t *testing.T) {
	tenants := []tenant{{"a", "vs_a", "key of a"}, {"b", "vs_b", "key of b"}}
	_, syncs := requestsOf(t, newPlace(3, tenants...), load.Job{Kind: load.Fresh, Operations: 4, Requests: 4, Bytes: 100})
	number := 0
	for i, sync := range syncs {
		if want := tenants[i%2].org; sync.OrganizationID != want || sync.VectorStoreID != "vs_"+want || sync.Mode != client.Incremental {
			t.Errorf("request %d is %s of %s in %s, want %s", i, sync.Mode, sync.OrganizationID, sync.VectorStoreID, want)
		}
		for _, o := range sync.Operations {
			if want := fmt.Sprintf("bench-%d", number%3); o.Namespace != want || o.Action != client.Upsert || len(o.Data) != 100 {
				t.Errorf("operation %d: %s to %s with %d bytes, want %s", number, o.Action, o.Namespace, len(o.Data), want)
			}
			number++
		}
	}
}

func TestReadsAreOfWhatIsThere(t *testing.T) {
	p := newPlace(2, tenant{"a", "vs_a", "key of a"})
	_, syncs := requestsOf(t, p, load.Job{Kind: load.Fresh, Operations: 10, Requests: 1, Bytes: 100})
	there := map[string]bool{}
	for _, o := range syncs[0].Operations {
		there["/v1/vector-stores/vs_a/namespaces/"+o.Namespace+"/records/"+o.ID+"?consistency=linearizable"] = true
	}
	paths, _ := requestsOf(t, p, load.Job{Kind: load.Read, Operations: 1, Requests: 20})
	for _, path := range paths {
		if !there[path] {
			t.Errorf("a read of %s", path)
		}
	}
}

func TestARefreshReplacesAll(t *testing.T) {
	p := newPlace(1, tenant{"a", "vs_a", "key of a"})
	request, err := p.refresh(load.Job{Kind: load.Fresh, Operations: 3, Requests: 1, Bytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	req, err := request(t.Context(), &testcluster.Node{HTTP: "http://node"})
	if err != nil {
		t.Fatal(err)
	}
	var sync client.SyncRequest
	if err := json.NewDecoder(req.Body).Decode(&sync); err != nil || sync.Mode != client.FullRefresh || len(sync.Operations) != 3 {
		t.Errorf("%+v, %v", sync, err)
	}
}

func TestMetricsAreAddedUp(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "# HELP x\nx{kind=\"a\",r=\"1\"} 2\nx{kind=\"a\",r=\"2\"} 3.5\nx{kind=\"b\"} 7\n")
	}))
	defer node.Close()
	sum, err := metric(t.Context(), node.Client(), node.URL, `x{kind="a",`)
	if err != nil || sum != 5.5 {
		t.Errorf("%v, %v", sum, err)
	}
}
