package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// scoped makes another key of the tenant's organization.
func (s *suite) scoped(via *testcluster.Node, tn tenant, req client.KeyRequest) tenant {
	s.Helper()
	req.OrganizationID, req.VectorStoreID = tn.org, tn.store
	key, err := s.admin(via).CreateKey(s.ctx, req)
	s.must(err)
	tn.key, tn.keyID = key.Key, key.KeyID
	return tn
}

// TestKeyScopes are kept at each node, whichever made the key.
func TestKeyScopes(t *testing.T) {
	s := shared(t)
	for i, n := range s.Nodes {
		made := s.Nodes[(i+1)%3]
		all := s.tenant(made)
		s.ok(s.sync(n, all, all.batch(client.Incremental, upsert("docs/de", "1", `{}`), upsert("logs", "1", `{}`))))

		writer := s.scoped(made, all, client.KeyRequest{Actions: []string{"upsert"}, Namespaces: []string{"docs/*"}})
		s.ok(s.sync(n, writer, writer.batch(client.Incremental, upsert("docs/en", "1", `{}`))))
		e := s.refused(s.sync(n, writer, writer.batch(client.Incremental, upsert("docs/en", "2", `{}`), upsert("logs", "2", `{}`))),
			http.StatusForbidden, "KEY_SCOPE_DENIED")
		if len(e.Error.Details) != 1 || e.Error.Details[0].Index == nil || *e.Error.Details[0].Index != 1 || e.Error.Details[0].Namespace != "logs" {
			t.Errorf("%+v", e.Error)
		}
		s.refused(s.sync(n, writer, writer.batch(client.Incremental, remove("docs/en", "1"))), http.StatusForbidden, "KEY_SCOPE_DENIED")
		s.refused(s.sync(n, writer, writer.batch(client.FullRefresh, upsert("docs/en", "1", `{}`))), http.StatusForbidden, "KEY_SCOPE_DENIED")
		s.refused(s.answer(n, request{path: "/v1/vector-stores/" + all.store + "/namespaces", key: writer.key}), http.StatusForbidden, "KEY_SCOPE_DENIED")

		reader := s.scoped(made, all, client.KeyRequest{Actions: []string{"read"}, Namespaces: []string{"docs/*"}, VectorStoreIDs: []string{all.store}})
		page, err := s.as(reader, n).Namespaces(s.ctx, all.store, client.ReadOptions{})
		s.must(err)
		if len(page.Namespaces) != 2 || page.Namespaces[0].Name != "docs/de" || page.Namespaces[1].Name != "docs/en" {
			t.Errorf("%s lists %+v", n.ID, page.Namespaces)
		}
		s.refused(s.answer(n, request{path: "/v1/vector-stores/" + all.store + "/namespaces/logs", key: reader.key}), http.StatusForbidden, "KEY_SCOPE_DENIED")
		s.refused(s.answer(n, request{path: "/v1/vector-stores/vs_other/namespaces", key: reader.key}), http.StatusForbidden, "KEY_SCOPE_DENIED")
		s.refused(s.answer(n, request{path: "/v1/vector-stores/vs_other/namespaces", key: all.key}), http.StatusNotFound, "VECTOR_STORE_NOT_FOUND")
	}
}

const (
	// floodBefore is how many syncs of a flood are committed before its key ends.
	floodBefore = 20
	// floodLimit of requests a minute doesn't end the flood first, however long that
	// takes.
	floodLimit = 10_000
)

// flood sends syncs with a key to two nodes until the key is refused.
type flood struct {
	*suite
	tn      tenant
	running sync.WaitGroup
	enough  chan struct{} // closed when floodBefore are committed

	mu        sync.Mutex
	committed int
	newest    uint64 // index
}

func (s *suite) flood(tn tenant, nodes ...*testcluster.Node) *flood {
	s.Helper()
	_, err := s.admin(nodes[0]).SetLimits(s.ctx, tn.org, client.Figures{"requests_per_window": floodLimit})
	s.must(err)
	f := &flood{suite: s, tn: tn, enough: make(chan struct{})}
	for worker := range 6 {
		f.running.Go(func() { f.work(nodes[worker%len(nodes)], fmt.Sprint("worker ", worker)) })
	}
	return f
}

func (f *flood) work(n *testcluster.Node, name string) {
	for i := 0; ; i++ {
		r, err := f.send(n, request{path: syncPath, key: f.tn.key, body: f.tn.batch(client.Incremental, upsert("n", fmt.Sprint(name, " ", i), `{}`))})
		if err != nil || r.status != http.StatusOK {
			if r.status != http.StatusUnauthorized {
				f.Errorf("%s: status %d: %s %v", name, r.status, r.body, err)
			}
			return
		}
		var reply client.SyncReply
		if err := json.Unmarshal(r.body, &reply); err != nil {
			f.Error(err)
			return
		}
		f.mu.Lock()
		f.newest = max(f.newest, reply.Index)
		if f.committed++; f.committed == floodBefore {
			close(f.enough)
		}
		f.mu.Unlock()
	}
}

// endedBy waits for the end of the flood, which an entry at index has brought:
// nothing of it is behind that entry.
func (f *flood) endedBy(index uint64, reader tenant) {
	f.Helper()
	f.running.Wait()
	if f.newest >= index {
		f.Errorf("the key was ended at index %d, and a sync with it is committed at %d", index, f.newest)
	}
	records := f.all(f.Nodes[0], reader, "n")
	for id, r := range records {
		if r.Index >= index {
			f.Errorf("the key was ended at index %d, and %q is of %d", index, id, r.Index)
		}
	}
	if len(records) != f.committed {
		f.Errorf("%d records of %d syncs that were acknowledged", len(records), f.committed)
	}
}

// TestNothingIsCommittedAfterARotation without an overlap, and the new key works
// at once where the old one is flooded.
func TestNothingIsCommittedAfterARotation(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	reader := s.scoped(s.Nodes[0], tn, client.KeyRequest{Actions: []string{"read"}})
	f := s.flood(tn, s.Nodes[1], s.Nodes[2])
	<-f.enough
	rotated, err := s.admin(s.Nodes[0]).RotateKey(s.ctx, tn.keyID, 0)
	s.must(err)
	fresh := tn
	fresh.key = rotated.Key
	first := s.ok(s.sync(s.Nodes[1], fresh, fresh.batch(client.Incremental)))
	f.endedBy(first.Index, reader)
}

// TestRotatedKeysOverlap at every node, whichever rotated it.
func TestRotatedKeysOverlap(t *testing.T) {
	s := shared(t)
	for i, n := range s.Nodes {
		old := s.tenant(n)
		rotated, err := s.admin(n).RotateKey(s.ctx, old.keyID, time.Hour)
		s.must(err)
		fresh := old
		fresh.key = rotated.Key
		for _, tn := range []tenant{fresh, old} {
			s.ok(s.sync(s.Nodes[(i+1)%3], tn, tn.batch(client.Incremental, upsert("n", tn.key[:9], `{}`))))
		}
	}
}

// TestNothingIsCommittedAfterARevocation, whatever a node knew when it took a
// sync.
func TestNothingIsCommittedAfterARevocation(t *testing.T) {
	s := shared(t)
	for i, revoker := range s.Nodes {
		tn := s.tenant(revoker)
		reader := s.scoped(revoker, tn, client.KeyRequest{Actions: []string{"read"}})
		f := s.flood(tn, s.Nodes[(i+1)%3], s.Nodes[(i+2)%3])
		<-f.enough
		revoked, err := s.admin(revoker).RevokeKey(s.ctx, tn.keyID)
		s.must(err)
		f.endedBy(revoked.Index, reader)
	}
}
