package e2e

import (
	"net/http"
	"testing"
	"time"

	"pipesync/client"
)

// day is when the data of these tests was read, a while ago.
var day = time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)

// at is a batch of data read some seconds into day.
func (tn tenant) at(seconds int, mode string, ops ...client.Operation) client.SyncRequest {
	batch := tn.batch(mode, ops...)
	batch.Timestamp = day.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339)
	return batch
}

func rejecting(batch client.SyncRequest) client.SyncRequest {
	batch.OnStale = client.Reject
	return batch
}

// holds checks, at every node, that a namespace has exactly these records.
func (s *suite) holds(tn tenant, namespace string, want map[string]string) {
	s.Helper()
	for _, n := range s.Nodes {
		found := s.all(n, tn, namespace)
		if len(found) != len(want) {
			s.Errorf("%s has %d records, want %d", n.ID, len(found), len(want))
		}
		for id, data := range want {
			if string(found[id].Data) != data {
				s.Errorf("%s has %s for %q, want %s", n.ID, found[id].Data, id, data)
			}
		}
	}
	s.sameDigest(tn, namespace)
}

// TestCompat_SyncTimestampOrders sends batches in another order than that of
// their timestamps, each to another node.
func TestCompat_SyncTimestampOrders(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], tn, tn.at(20, client.Incremental, upsert("ns", "a", `{"v":20}`), remove("ns", "b"))))
	late := s.ok(s.sync(s.Nodes[1], tn, tn.at(10, client.Incremental,
		upsert("ns", "a", `{"v":10}`), upsert("ns", "b", `{"v":10}`), remove("ns", "b"), upsert("ns", "c", `{"v":10}`))))
	if want := (client.Counts{Upserted: 1, Skipped: 3}); late.Results != want || late.ByNamespace["ns"] != want || late.Processed != 4 {
		t.Errorf("%+v", late)
	}
	if len(late.Warnings) != 1 || late.Warnings[0] != (client.Warning{Code: "STALE_OPERATIONS_SKIPPED", Count: 3}) {
		t.Errorf("warnings %+v", late.Warnings)
	}
	s.holds(tn, "ns", map[string]string{"a": `{"v":20}`, "c": `{"v":10}`})

	// unchanged, and yet as new as its timestamp says
	again := s.ok(s.sync(s.Nodes[2], tn, tn.at(30, client.Incremental, upsert("ns", "a", `{"v":20}`))))
	if again.Details != (client.Details{Unchanged: 1}) || again.Warnings != nil {
		t.Errorf("%+v", again)
	}
	refused := rejecting(tn.at(25, client.Incremental, upsert("ns", "d", `{}`), upsert("ns", "a", `{"v":25}`)))
	for _, n := range s.Nodes {
		s.refused(s.sync(n, tn, refused), http.StatusConflict, "STALE_SYNC")
	}
	s.ok(s.sync(s.Nodes[0], tn, tn.at(30, client.Incremental, upsert("ns", "c", `{"v":30}`), upsert("ns", "a", `{"v":30}`))))
	s.holds(tn, "ns", map[string]string{"a": `{"v":30}`, "c": `{"v":30}`})
}

func TestCompat_SyncTimestampInFuture(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	batch := tn.batch(client.Incremental, upsert("ns", "a", `{}`))
	batch.Timestamp = time.Now().Add(6 * time.Minute).UTC().Format(time.RFC3339)
	for _, n := range s.Nodes {
		s.refused(s.sync(n, tn, batch), http.StatusBadRequest, "SYNC_TIMESTAMP_IN_FUTURE")
	}
	batch.Timestamp = time.Now().Add(4 * time.Minute).UTC().Format(time.RFC3339)
	s.ok(s.sync(s.Nodes[0], tn, batch))
	batch.Timestamp = "" // newer than all that is there, even than that
	batch.Operations = []client.Operation{upsert("ns", "a", `{"v":2}`)}
	s.ok(s.sync(s.Nodes[1], tn, batch))
	s.holds(tn, "ns", map[string]string{"a": `{"v":2}`})
}

func TestRefreshesAreOrdered(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	page := tn.at(20, client.FullRefresh, upsert("ns", "a", `{"v":1}`), upsert("ns", "b", `{"v":1}`))
	s.ok(s.sync(s.Nodes[0], tn, page))
	s.ok(s.sync(s.Nodes[1], tn, page)) // sent again
	s.refused(s.sync(s.Nodes[2], tn, tn.at(20, client.FullRefresh, upsert("ns", "c", `{}`))), http.StatusConflict, "REFRESH_TIMESTAMP_REUSED")
	s.refused(s.sync(s.Nodes[0], tn, tn.at(19, client.FullRefresh, upsert("ns", "c", `{}`))), http.StatusConflict, "STALE_REFRESH")
	s.holds(tn, "ns", map[string]string{"a": `{"v":1}`, "b": `{"v":1}`})

	// what the refresh removed doesn't come back, and neither does what it never had
	s.ok(s.sync(s.Nodes[1], tn, tn.at(30, client.FullRefresh, upsert("ns", "b", `{"v":2}`))))
	late := s.ok(s.sync(s.Nodes[2], tn, tn.at(29, client.Incremental, upsert("ns", "a", `{}`), upsert("ns", "new", `{}`))))
	if late.Results != (client.Counts{Skipped: 2}) {
		t.Errorf("%+v", late.Results)
	}
	s.holds(tn, "ns", map[string]string{"b": `{"v":2}`})
}

// TestOrderOutlivesTheLeader has a late batch decided by another leader than the
// one that took what it is late for, after all have been killed once.
func TestOrderOutlivesTheLeader(t *testing.T) {
	s := own(t, 3, 2*testDeadline)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], tn, tn.at(20, client.Incremental, upsert("ns", "a", `{"v":1}`), remove("ns", "b"))))
	s.ok(s.sync(s.Nodes[0], tn, tn.at(20, client.FullRefresh, upsert("whole", "a", `{"v":1}`))))
	for _, n := range s.Nodes {
		s.must(n.Kill9())
	}
	for _, n := range s.Nodes {
		s.must(n.Start())
	}
	for _, n := range s.Nodes {
		s.must(n.AwaitReady(s.ctx))
	}
	for range 2 {
		old := s.leader()
		s.ok(s.sync(old, tn, tn.at(10, client.Incremental, upsert("ns", "a", `{}`), upsert("ns", "b", `{}`), upsert("whole", "b", `{}`))))
		s.refused(s.sync(old, tn, rejecting(tn.at(10, client.Incremental, upsert("ns", "b", `{}`)))), http.StatusConflict, "STALE_SYNC")
		s.refused(s.sync(old, tn, tn.at(20, client.FullRefresh, upsert("whole", "b", `{}`))), http.StatusConflict, "REFRESH_TIMESTAMP_REUSED")
		s.holds(tn, "ns", map[string]string{"a": `{"v":1}`})
		s.holds(tn, "whole", map[string]string{"a": `{"v":1}`})
		s.must(s.TransferLeadership(s.ctx, s.follower()))
	}
}
