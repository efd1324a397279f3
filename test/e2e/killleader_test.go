package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

const (
	killOrganizations = 48
	killWriters       = 6
	// killPace keeps the organizations below their 100 a minute.
	killPace         = 100 * time.Millisecond // between two syncs of a writer
	acksBetweenKills = 30
	killDeadline     = 30 * time.Minute
)

// acked is what the clients of the kill test were promised.
type acked struct {
	mu      sync.Mutex
	records []map[string]string // by tenant: id → data
	total   int
}

func (a *acked) add(tenant int, id, data string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records[tenant][id] = data
	a.total++
}

func (a *acked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// The node that leads is killed with -9 again and again while clients sync to
// all nodes. Every acknowledged record has to be on every node afterwards.
func TestKillLeader(t *testing.T) {
	kills, syncs := 8, 800
	if testing.Short() {
		kills, syncs = 3, 300
	}
	if soaking() {
		kills, syncs = 100, 10_000
	}
	s := own(t, 3, killDeadline)
	tns := make([]tenant, killOrganizations)
	promised := &acked{records: make([]map[string]string, killOrganizations)}
	for i := range tns {
		tns[i] = s.tenant(s.Nodes[i%3])
		promised.records[i] = map[string]string{}
	}
	ctx, stop := context.WithCancel(s.ctx)
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() { s.syncUntil(ctx, tns, w, promised) })
	}
	var slowest time.Duration
	for kill := range kills {
		slowest = max(slowest, s.killLeaderOnce(kill, promised))
	}
	s.await(fmt.Sprintf("%d acknowledged syncs", syncs), func(context.Context) error {
		if n := promised.count(); n < syncs {
			return fmt.Errorf("%d syncs", n)
		}
		return nil
	})
	stop()
	wg.Wait()
	t.Logf("%d kills of the leader, %d acknowledged syncs; longest time without one after a kill: %v", kills, promised.count(), slowest.Round(time.Millisecond))
	s.readBack(tns, promised)
}

// syncUntil sends one-record batches, each with an id and data of its own, to
// the nodes in turn and remembers those that were acknowledged.
func (s *suite) syncUntil(ctx context.Context, tns []tenant, writer int, promised *acked) {
	pace := time.NewTicker(killPace)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		which := (writer + i*killWriters) % len(tns)
		tn, n := tns[which], s.Nodes[rand.IntN(len(s.Nodes))]
		id := fmt.Sprintf("w%d/%d", writer, i)
		data := fmt.Sprintf(`{"id":%q,"via":%q,"n":%d}`, id, n.ID, rand.Uint64())
		once, cancel := context.WithTimeout(ctx, 15*time.Second)
		reply, err := s.as(tn, n).Sync(once, tn.batch(client.Incremental, upsert("ns", id, data)))
		cancel()
		if err == nil {
			if reply.Processed != 1 {
				s.Errorf("%s acknowledged %+v", n.ID, reply)
			}
			promised.add(which, id, data)
			continue
		}
		if ctx.Err() == nil && !expectedFailure(err) {
			s.Errorf("a sync to %s failed as none should: %v", n.ID, err)
		}
	}
}

// expectedFailure is true for what a client has to expect while nodes die: a
// refusal that names itself retryable, an outcome told to be unknown, or no answer.
func expectedFailure(err error) bool {
	var refused *client.Error
	if errors.As(err, &refused) {
		return refused.Retryable || refused.Code == "OUTCOME_UNKNOWN"
	}
	var gone *client.ConnectionError
	return errors.As(err, &gone)
}

// killLeaderOnce returns how long after the kill the first sync was acknowledged.
func (s *suite) killLeaderOnce(kill int, promised *acked) time.Duration {
	s.Helper()
	var leader *testcluster.Node
	var status client.Status
	s.await("a leader that says so", func(ctx context.Context) (err error) {
		if leader, err = s.Leader(ctx); err != nil {
			return err
		}
		status, err = s.admin(leader).Status(ctx)
		if err == nil && (status.Role != "leader" || status.NodeID != leader.ID) {
			return fmt.Errorf("%s is %s", leader.ID, status.Role)
		}
		return err
	})
	pid := leader.Process().Pid()
	s.must(leader.Kill9())
	killed, before := time.Now(), promised.count()
	s.awaitAcks(promised, before+1)
	outage := time.Since(killed)
	next := s.leader()
	after, err := s.admin(next).Status(s.ctx)
	s.must(err)
	if next == leader || after.Term <= status.Term {
		s.Fatalf("kill %d: %s leads in term %d after %s in term %d was killed", kill, next.ID, after.Term, leader.ID, status.Term)
	}
	s.awaitAcks(promised, before+acksBetweenKills)
	s.must(leader.Restart(s.ctx))
	s.caughtUp(leader)
	s.Logf("kill %d: %s (pid %d, term %d), then %s (term %d); a sync was acknowledged after %v",
		kill, leader.ID, pid, status.Term, next.ID, after.Term, outage.Round(time.Millisecond))
	return outage
}

func (s *suite) awaitAcks(promised *acked, n int) {
	s.Helper()
	s.await(fmt.Sprintf("%d acknowledged syncs", n), func(context.Context) error {
		if got := promised.count(); got < n {
			return fmt.Errorf("%d syncs", got)
		}
		return nil
	})
}

// caughtUp waits until n has applied what the leader has applied by now.
func (s *suite) caughtUp(n *testcluster.Node) {
	s.Helper()
	status, err := s.admin(s.leader()).Status(s.ctx)
	s.must(err)
	s.await(n.ID+" to catch up", func(ctx context.Context) error {
		own, err := s.admin(n).Status(ctx)
		if err == nil && own.AppliedIndex < status.AppliedIndex {
			return fmt.Errorf("applied %d of %d", own.AppliedIndex, status.AppliedIndex)
		}
		return err
	})
}

// readBack checks every promise on every node.
func (s *suite) readBack(tns []tenant, promised *acked) {
	s.Helper()
	for i, tn := range tns {
		if len(promised.records[i]) == 0 {
			continue
		}
		for _, n := range s.Nodes {
			found := s.all(n, tn, "ns")
			for id, data := range promised.records[i] {
				if got := found[id]; string(got.Data) != data {
					s.Errorf("%s has %q for the acknowledged %s %q, want %q", n.ID, got.Data, tn.org, id, data)
				}
			}
		}
		s.sameDigest(tn, "ns")
	}
}
