package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// Each node in turn, whichever leads too, ends by SIGTERM and comes back, twice, while clients
// sync and read at all of them. Nothing that they send fails that isn't answered at
// the next node.
func TestRollingRestart(t *testing.T) {
	t.Parallel() // with TestUpgrade, which waits as much
	s := own(t, 3, trafficDeadline)
	f := s.startTraffic(onceMore)
	f.awaitAnswers(3, s.Nodes...)
	for range 2 {
		for i, n := range s.Nodes {
			others := []*testcluster.Node{s.Nodes[(i+1)%3], s.Nodes[(i+2)%3]}
			s.must(n.Stop(s.ctx))
			f.awaitAnswers(5, others...)
			status, err := s.admin(s.leader()).Status(s.ctx)
			s.must(err)
			if status.Voters != 3 {
				t.Errorf("%d voters while %s is stopped: stopping isn't leaving", status.Voters, n.ID)
			}
			s.must(n.Restart(s.ctx))
			f.awaitAnswers(5, n)
		}
	}
	f.end()
	s.sameRows()
}

func TestWholeClusterRestarts(t *testing.T) {
	s := own(t, 3, 2*testDeadline)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, manyUpserts(1000, "ns")...)))
	before := s.sameDigest(tn, "ns")
	for _, n := range s.Nodes {
		s.must(n.Kill9())
	}
	for _, n := range s.Nodes {
		s.must(n.Start())
	}
	for _, n := range s.Nodes {
		s.must(n.AwaitReady(s.ctx))
	}
	if after := s.sameDigest(tn, "ns"); after != before {
		t.Errorf("the namespace was %+v and is %+v", before, after)
	}
	s.ok(s.sync(s.Nodes[2], tn, tn.batch(client.Incremental, upsert("ns", "after", `{}`))))
}

// Without a quorum a node can't tell what is current: it says so, and still
// serves stale reads.
func TestStaleReadsWithoutQuorum(t *testing.T) {
	s := own(t, 3, testDeadline)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, upsert("ns", "a", `{"v":1}`))))
	for _, n := range s.Nodes {
		s.caughtUp(n)
	}
	s.must(s.Nodes[1].Kill9())
	s.must(s.Nodes[2].Kill9())
	path := "/v1/vector-stores/" + tn.store + "/namespaces/ns/records/a"
	got := s.answer(s.Nodes[0], request{path: path + "?consistency=stale", key: tn.key})
	if got.status != http.StatusOK || got.header.Get("X-Pipesync-Index") == "" {
		t.Errorf("a stale read without quorum: %d %s", got.status, got.body)
	}
	for name, query := range map[string]string{"linearizable": "", "1 ms stale": "?consistency=stale&max_staleness=1ms"} {
		if got := s.answer(s.Nodes[0], request{path: path + query, key: tn.key}); got.status != http.StatusServiceUnavailable {
			t.Errorf("a %s read without quorum: %d %s", name, got.status, got.body)
		}
	}
	// Once the node knows that it has no leader, a sync is certain not to be applied.
	s.await("the loss of the leader", func(ctx context.Context) error {
		status, err := s.admin(s.Nodes[0]).Status(ctx)
		if err == nil && status.Leader != nil {
			return fmt.Errorf("it follows %s", status.Leader.ID)
		}
		return err
	})
	got = s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, upsert("ns", "b", `{}`)))
	if e := s.refused(got, http.StatusServiceUnavailable, "NO_LEADER"); !e.Error.Retryable || got.header.Get("Retry-After") == "" {
		t.Errorf("a sync without quorum: %s, Retry-After %q", got.body, got.header.Get("Retry-After"))
	}
}

func TestMinIndex(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	for i := range 20 {
		done := s.ok(s.sync(s.Nodes[i%3], tn, tn.batch(client.Incremental, upsert("ns", fmt.Sprint(i), `{}`))))
		page, err := s.as(tn, s.Nodes[(i+1)%3]).Records(s.ctx, tn.store, "ns",
			client.ReadOptions{Consistency: client.Stale, MinIndex: done.Index, Limit: 1000})
		s.must(err)
		if len(page.Records) != i+1 || page.Index < done.Index {
			t.Fatalf("after index %d a stale read at %d has %d records, want %d", done.Index, page.Index, len(page.Records), i+1)
		}
	}
}
