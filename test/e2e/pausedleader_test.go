package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/seeds"
	"pipesync/internal/testcluster"
)

const (
	pausesSample = 10
	pausesSoak   = 200
	// pauseReaders read at each node, one read after the other: so a pause, and its
	// end, meet confirmations of the leadership that are under way.
	pauseReaders = 4
	// wakeReads more wait for the paused leader when it wakes.
	wakeReads = 8
	// pauseAhead is how much later than it could a leader is paused, and wakes.
	pauseAhead = 30 * time.Millisecond
	// readDeadline is longer than any pause.
	readDeadline = 30 * time.Second
)

// pausing is a record that holds a number, which only grows, and the clients
// that write and read it.
type pausing struct {
	*suite
	tn   tenant
	next int64 // the number to be written next

	// seen is the greatest number that was acknowledged or read.
	seen  atomic.Int64
	reads atomic.Int64 // that were answered
}

// A leader is stopped at some moment, another one takes over and acknowledges a
// write, and the first wakes with questions, and answers to its own, waiting on
// its sockets. All nodes are read when it is stopped and when it wakes: whoever begins
// to read after a number was acknowledged or read sees it, or a later one.
func TestPausedLeader(t *testing.T) {
	pauses := pausesSample
	switch {
	case soaking():
		pauses = pausesSoak
	case testing.Short():
		pauses = 2
	}
	p := &pausing{suite: own(t, 3, killDeadline)}
	p.tn = p.tenant(p.Nodes[0])
	p.write(p.Nodes[0])
	first, err := seeds.First()
	p.must(err)
	for i := range pauses {
		p.pause(first + uint64(i))
	}
	t.Logf("%d pauses of the leader, in each of which another took over; %d reads, none of them stale", pauses, p.reads.Load())
}

// pause pauses whoever leads until another node does, in a later term, and has
// acknowledged a write.
func (p *pausing) pause(seed uint64) {
	p.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	old := p.leader()
	before, err := p.admin(old).Status(p.ctx)
	p.must(err)
	others := slices.DeleteFunc(slices.Clone(p.Nodes), func(n *testcluster.Node) bool { return n == old })
	next := others[rng.IntN(len(others))]

	stop := p.startReaders()
	sleepUpTo(rng, pauseAhead)
	p.must(old.Pause())
	stop()
	var after client.Status
	p.await("another leader than "+old.ID, func(ctx context.Context) (err error) {
		after, err = p.admin(next).Status(ctx)
		if err == nil && (after.Leader == nil || after.Leader.ID == old.ID || after.Term <= before.Term) {
			return fmt.Errorf("%s follows %+v", next.ID, after.Leader)
		}
		return err
	})
	p.write(next)

	stop = p.startReaders()
	var waking sync.WaitGroup
	for range wakeReads {
		waking.Go(func() { p.read(p.ctx, old) })
	}
	sleepUpTo(rng, pauseAhead)
	p.must(old.Continue())
	waking.Wait()
	stop()
	if p.Failed() {
		p.Fatalf("seed %d: %s led in term %d and was paused; %s acknowledged %d, following %+v in term %d",
			seed, old.ID, before.Term, next.ID, p.next, after.Leader, after.Term)
	}
}

// startReaders has all nodes read until stop is called.
func (p *pausing) startReaders() (stop func()) {
	ctx, cancel := context.WithCancel(p.ctx)
	var readers sync.WaitGroup
	for _, n := range p.Nodes {
		for range pauseReaders {
			readers.Go(func() {
				for ctx.Err() == nil {
					p.read(ctx, n)
				}
			})
		}
	}
	return func() {
		cancel()
		readers.Wait()
	}
}

func sleepUpTo(rng *rand.Rand, limit time.Duration) {
	time.Sleep(time.Duration(rng.Int64N(int64(limit))))
}

// write has node n acknowledge the next number.
func (p *pausing) write(n *testcluster.Node) {
	p.Helper()
	p.next++
	batch := p.tn.batch(client.Incremental, upsert("ns", "a", fmt.Sprintf(`{"number":%d}`, p.next)))
	p.await("a sync to "+n.ID, func(ctx context.Context) error {
		_, err := p.as(p.tn, n).Sync(ctx, batch)
		return err
	})
	p.see(p.next)
}

func (p *pausing) see(number int64) {
	for now := p.seen.Load(); now < number && !p.seen.CompareAndSwap(now, number); now = p.seen.Load() {
	}
}

// read reads once at node n. It may be refused, but not answered from the past.
func (p *pausing) read(ctx context.Context, n *testcluster.Node) {
	ctx, cancel := context.WithTimeout(ctx, readDeadline)
	defer cancel()
	atLeast := p.seen.Load()
	record, err := n.ClientFor(p.tn.key).Record(ctx, p.tn.store, "ns", "a", client.ReadOptions{Consistency: client.Linearizable})
	if err != nil {
		if ctx.Err() == nil && !expectedFailure(err) {
			p.Errorf("a read at %s failed as none should: %v", n.ID, err)
		}
		return
	}
	var data struct{ Number int64 }
	if err := json.Unmarshal(record.Data, &data); err != nil || data.Number < atLeast {
		p.Errorf("%s reads %s (%v), after %d was acknowledged or read", n.ID, record.Data, err, atLeast)
	}
	p.see(data.Number)
	p.reads.Add(1)
}
