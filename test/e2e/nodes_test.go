package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"pipesync/client"
)

func TestEveryNodeTakesASync(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	want := map[string]string{}
	for i, n := range s.Nodes {
		id, data := fmt.Sprintf("from-%s", n.ID), fmt.Sprintf(`{ "node": %d, "big": 9007199254740993 }`, i)
		// written by hand: encoding/json would take the blanks out of data
		body := fmt.Sprintf(`{"organization_id":%q,"sync_mode":"incremental","operations":[{"action":"upsert","namespace":"ns","id":%q,"data":%s}]}`, tn.org, id, data)
		got := s.ok(s.sync(n, tn, body))
		if got.Processed != 1 || got.Results.Upserted != 1 || got.Details.Created != 1 {
			t.Errorf("%s answered %+v", n.ID, got)
		}
		want[id] = data
	}
	for _, n := range s.Nodes {
		found := s.all(n, tn, "ns")
		if len(found) != len(want) {
			t.Errorf("%s has %d records, want %d", n.ID, len(found), len(want))
		}
		for id, data := range want {
			if string(found[id].Data) != data {
				t.Errorf("%s has %q for %q, want it byte for byte: %q", n.ID, found[id].Data, id, data)
			}
		}
	}
	s.sameDigest(tn, "ns")
}

// sameDigest checks that all nodes tell the same state of a namespace.
func (s *suite) sameDigest(tn tenant, namespace string) client.Namespace {
	s.Helper()
	var first client.Namespace
	for i, n := range s.Nodes {
		if !n.Running() {
			continue
		}
		ns, err := s.as(tn, n).Namespace(s.ctx, tn.store, namespace, client.ReadOptions{})
		s.must(err)
		if i == 0 {
			first = ns
		} else if ns != first {
			s.Errorf("%s has %+v, %s has %+v", n.ID, ns, s.Nodes[0].ID, first)
		}
	}
	return first
}

func TestHealthOfEveryNode(t *testing.T) {
	s := shared(t)
	leader := s.leader()
	for _, n := range s.Nodes {
		for _, path := range []string{"/livez", "/readyz", "/readyz?verbose", "/healthz"} {
			if got := s.answer(n, request{path: path}); got.status != http.StatusOK {
				t.Errorf("%s%s answered %d: %s", n.ID, path, got.status, got.body)
			}
		}
		health, err := s.admin(n).Health(s.ctx)
		s.must(err)
		if health.Status != "ok" || health.NodeID != n.ID || health.LeaderID != leader.ID || !health.Ready {
			t.Errorf("%s says %+v of itself", n.ID, health)
		}
		status, err := s.admin(n).Status(s.ctx)
		s.must(err)
		if status.Voters != 3 || status.FailuresTolerated != 1 || len(status.Members) != 3 || status.Insecure {
			t.Errorf("%s reports %+v", n.ID, status)
		}
	}
}

func TestMetricsHaveRaftAndBolt(t *testing.T) {
	s := shared(t)
	got := s.answer(s.leader(), request{path: "/metrics"})
	if got.status != http.StatusOK {
		t.Fatalf("status %d", got.status)
	}
	for _, family := range []string{"raft_", "raft_boltdb_", "pipesync_", "go_"} {
		if !bytes.Contains(got.body, []byte("# TYPE "+family)) {
			t.Errorf("no metric of %s* among %d bytes", family, len(got.body))
		}
	}
}

func TestListsAreOrderedByBytes(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, manyUpserts(25, "ns")...)))
	opts, last, pages := client.ReadOptions{Limit: 10}, "", 0
	for {
		page, err := s.as(tn, s.Nodes[pages%3]).Records(s.ctx, tn.store, "ns", opts)
		s.must(err)
		pages++
		for _, r := range page.Records {
			if r.ID <= last {
				t.Errorf("%q after %q", r.ID, last)
			}
			last = r.ID
		}
		if page.NextCursor == nil {
			break
		}
		opts.Cursor = *page.NextCursor
	}
	if pages != 3 || last != "r00024" {
		t.Errorf("%d pages, the last record %q", pages, last)
	}
}
