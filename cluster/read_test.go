package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// A leader that was deposed without hearing of it, and that then receives
// answers to heartbeats which it had sent before, must not give out a read
// index. Raft's VerifyLeader alone does: it counts those answers.
func TestDeposedLeaderGivesNoReadIndex(t *testing.T) {
	// The old leader's lease, half of this, outlasts the test's steps, so that it does
	// not step down by itself.
	const patience = 20 * time.Second
	all := newCluster(t, 3, func(c *Config) { c.HeartbeatTimeout, c.ElectionTimeout = patience, patience })
	old, next, third := all[0], all[1], all[2]
	leaderOf(t, all)
	old.mustPropose("before")
	core, _ := old.running()
	term := core.raft.CurrentTerm()

	// Heartbeats to both others are on their way, and their answers are held.
	release := old.links.holdReads()
	defer release()
	mark := core.answers.mark()
	core.raft.VerifyLeader() // has heartbeats go out at once
	eventually(t, "heartbeats whose answers are held", func() bool { return core.answers.mark() >= mark+2 })

	// The others elect another leader and commit, and the old one hears nothing.
	next.links.sever(old.ports.peerAdvertise)
	third.links.sever(old.ports.peerAdvertise)
	heir, _ := next.running()
	heir.campaign()
	eventually(t, "another leader", func() bool { return next.Status().Role == RoleLeader })
	next.mustPropose("after")
	if !leads(core.raft, term) {
		t.Fatal("the old leader has stepped down by itself: the machine is too slow for this test")
	}

	got := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), awaitTime)
	defer cancel()
	go func() {
		point, err := core.readIndex(ctx)
		if err == nil && point.index < next.sm.Applied() {
			err = fmt.Errorf("a stale read index %d was confirmed, the new leader has applied %d", point.index, next.sm.Applied())
		} else if errors.Is(err, errNotLeader) || errors.Is(err, errOtherTerm) {
			err = nil
		}
		got <- err
	}()
	eventually(t, "the question to Raft", func() bool {
		core.questions.mu.Lock()
		defer core.questions.mu.Unlock()
		return core.questions.open > 0
	})
	// Raft doesn't tell when it has taken the question up. Answers that come before
	// would prove nothing; those that come after must.
	time.Sleep(200 * time.Millisecond)
	release()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	old.links.heal()
	next.links.heal()
	third.links.heal()
	if got := old.read(); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("after healing: %q", got)
	}
}

// Answers count only if their number is newer than the mark, and of the term.
func TestQuorumOfAnswers(t *testing.T) {
	a := newAnswers()
	first := a.next()
	mark := a.mark()
	a.record("n2", 5, first)
	if got, _ := a.since(mark, 5); len(got) != 0 {
		t.Errorf("an answer to an earlier request counts: %v", got)
	}
	second, third := a.next(), a.next()
	a.record("n3", 4, third)
	if got, _ := a.since(mark, 5); len(got) != 0 {
		t.Errorf("an answer of another term counts: %v", got)
	}
	_, changed := a.since(mark, 5)
	a.record("n2", 5, third)
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	a.record("n2", 5, second) // late: must not undo the newer one
	if got, _ := a.since(second, 5); !got["n2"] || len(got) != 1 {
		t.Errorf("after a late answer: %v", got)
	}
	a.record("n2", 4, a.next())
	if got, _ := a.since(mark, 5); !got["n2"] {
		t.Error("an answer of an older term undid one of a newer")
	}
}

// Every reader gets an index at least as new as the newest acknowledged write
// when it came, while leadership moves.
func TestReadsSeeAcknowledgedWrites(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	var mu sync.Mutex
	newest := 0
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; ctx.Err() == nil; i++ {
			if _, err := all[i%3].Propose(all[i%3].ctx(), []byte(fmt.Sprint(i))); err == nil {
				mu.Lock()
				newest = i
				mu.Unlock()
			}
		}
	})
	reads := 0
	for r := range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				want := newest
				mu.Unlock()
				bodies := all[r].read()
				if want > 0 && !slices.Contains(bodies, fmt.Sprint(want)) {
					t.Errorf("%s read %d entries without the acknowledged %d", all[r].name(), len(bodies), want)
				}
				mu.Lock()
				reads++
				mu.Unlock()
			}
		})
	}
	for range 4 {
		leader := leaderOf(t, all)
		mu.Lock()
		seen := reads
		mu.Unlock()
		if err := leader.TransferLeadership(leader.ctx(), ""); err != nil {
			t.Errorf("transfer: %v", err)
		}
		eventually(t, "more reads", func() bool { mu.Lock(); defer mu.Unlock(); return reads > seen+20 })
	}
	stop()
	wg.Wait()
}

// Readers that come while a round runs share the next one, never the running.
func TestRoundsAreShared(t *testing.T) {
	began, proceed := make(chan int, 8), make(chan struct{})
	n := 0
	r := &rounds{limit: awaitTime, confirm: func(context.Context) (readPoint, error) {
		n++
		began <- n
		<-proceed
		return readPoint{index: uint64(n)}, nil
	}}
	indexes := make(chan uint64, 8)
	join := func() {
		p, err := r.join(t.Context())
		if err != nil {
			t.Error(err)
		}
		indexes <- p.index
	}
	go join()
	<-began // the first round runs
	for range 5 {
		go join()
	}
	eventually(t, "a second round to be waited for", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.waiting != nil })
	proceed <- struct{}{}
	if got := <-indexes; got != 1 {
		t.Errorf("the first reader got round %d", got)
	}
	for done := 0; done < 5; {
		select {
		case <-began:
		case proceed <- struct{}{}:
		case got := <-indexes:
			done++
			if got < 2 {
				t.Errorf("a later reader got round %d", got)
			}
		}
	}
	close(proceed)
	r.close()
	if _, err := r.join(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("after close: %v", err)
	}
}

// What one read has shown, no later read misses, whichever nodes they are made
// on: also while the leader's own state machine is behind a follower's.
func TestReadsNeverGoBack(t *testing.T) {
	all := newCluster(t, 3)
	leader := leaderOf(t, all)
	leader.mustPropose("before")
	stalled := make(chan struct{})
	var once sync.Once
	proceed := func() { once.Do(func() { close(stalled) }) }
	defer proceed()
	leader.sm.setStall(func([]byte) { <-stalled })
	wrote := make(chan error, 1)
	go func() {
		_, err := leader.Propose(leader.ctx(), []byte("new"))
		wrote <- err
	}()
	follower := followerOf(all, leader)
	want := []string{"before", "new"}
	eventually(t, "the follower to apply it", func() bool { return slices.Equal(follower.sm.bodies(), want) })

	// The follower would show the new entry now. Whoever reads at the leader after
	// that has to wait for it.
	read := make(chan []string, 1)
	go func() { read <- leader.read() }()
	select {
	case got := <-read:
		t.Fatalf("a read at the leader shows %q after one at a follower showed %q", got, want)
	case <-time.After(200 * time.Millisecond):
	}
	proceed()
	if got := <-read; !slices.Equal(got, want) {
		t.Errorf("read %q", got)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// A fenced entry never counts as applied. Where it is the last one, a read doesn't
// wait for it.
func TestReadsDoNotWaitForFencedEntries(t *testing.T) {
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	leader.mustPropose("before")
	leader.gate.set(func(g *testGate) { g.stamp = func(term uint64) uint64 { return term - 1 } })
	leader.proposeInVain("fenced", 300*time.Millisecond, errFenced)
	for _, m := range all {
		index, err := m.ReadIndex(m.ctx())
		if err != nil {
			t.Fatal(err)
		}
		if applied := leader.sm.Applied(); index > applied {
			t.Errorf("%s is told to wait for %d, the leader has applied %d", m.name(), index, applied)
		}
	}
}
