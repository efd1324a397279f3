package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// inHistory wants a node to have these syncs in the history, each once, and one
// other.
func (s *suite) inHistory(n *testcluster.Node, tn tenant, want []client.SyncReply) {
	s.Helper()
	page, err := s.as(tn, n).Syncs(s.ctx, "", client.ReadOptions{Limit: 1000})
	s.must(err)
	seen := map[string]client.PastSync{}
	for _, past := range page.Syncs {
		seen[past.SyncID] = past
	}
	if len(page.Syncs) != len(want)+1 || len(seen) != len(page.Syncs) {
		s.Errorf("%s has %d syncs in the history, of which %d are distinct; want %d", n.ID, len(page.Syncs), len(seen), len(want)+1)
	}
	for _, done := range want {
		if past := seen[done.SyncID]; past.Index != done.Index || past.Results != done.Results || !past.Idempotent {
			s.Errorf("%s has %+v in the history, want %+v", n.ID, past, done)
		}
	}
}

func TestHistoryIsTheSameOnEveryNode(t *testing.T) {
	s := shared(t)
	tn, other := s.tenant(s.Nodes[0]), s.tenant(s.Nodes[0])
	first := tn.batch(client.Incremental, upsert("ns", "a", "{}"), upsert("ns", "b", "{}"))
	done := s.ok(s.sync(s.follower(), tn, first))
	s.ok(s.sync(s.leader(), tn, tn.batch(client.FullRefresh, upsert("ns", "b", "{}"), remove("ms", "c"))))
	sent, err := time.Parse(time.RFC3339Nano, first.Timestamp)
	s.must(err)
	want := client.PastSync{
		SyncID: done.SyncID, Index: done.Index, KeyID: tn.keyID, VectorStoreID: tn.store, Mode: client.Incremental,
		Timestamp: sent, Processed: 2, Results: done.Results, Namespaces: 1, ByNamespace: done.ByNamespace, Details: done.Details,
	}
	var list client.PastSyncPage
	for i, n := range s.Nodes {
		past, err := s.as(tn, n).PastSync(s.ctx, done.SyncID, client.ReadOptions{})
		s.must(err)
		if i == 0 {
			want.AppliedAt = past.AppliedAt
		}
		if diff := cmp.Diff(want, past); diff != "" {
			t.Errorf("%s: %s", n.ID, diff)
		}
		page, err := s.as(tn, n).Syncs(s.ctx, tn.store, client.ReadOptions{})
		s.must(err)
		page.Index = 0
		if i == 0 {
			list = page
		}
		if diff := cmp.Diff(list, page); diff != "" || len(page.Syncs) != 2 || page.Syncs[0].Mode != client.FullRefresh {
			t.Errorf("%s lists %+v", n.ID, page)
		}
		_, err = s.as(other, n).PastSync(s.ctx, done.SyncID, client.ReadOptions{})
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Code != "SYNC_NOT_FOUND" {
			t.Errorf("another organization's sync at %s: %v", n.ID, err)
		}
	}
}
