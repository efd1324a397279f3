package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
)

// heldBack is a backlog of at most 100 bytes, and Raft behind it.
type heldBack struct {
	t         *testing.T
	b         *backlog
	from      chan raft.RPC
	committed atomic.Uint64
	raftState atomic.Uint32
	term      atomic.Uint64
	answers   chan raft.RPCResponse
}

func newHeldBack(t *testing.T) *heldBack {
	h := &heldBack{t: t, from: make(chan raft.RPC), answers: make(chan raft.RPCResponse, 100)}
	end := &snapshotEnd{log: raft.NewInmemStore(), snapshots: raft.NewDiscardSnapshotStore()}
	h.b = newBacklog(h.from, newProgress(newBytelog(), newMeters(), end, nil), 100, &heard{}, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.b.run(ctx, h.committed.Load, h.committed.Load, h.term.Load, h.state)
	}()
	t.Cleanup(func() { stop(); <-ended })
	return h
}

func (h *heldBack) state() raft.RaftState {
	return raft.RaftState(h.raftState.Load())
}

// send sends entries of 60 bytes each; none is a commit index alone.
func (h *heldBack) send(indexes ...uint64) {
	req := &raft.AppendEntriesRequest{}
	for _, i := range indexes {
		req.Entries = append(req.Entries, &raft.Log{Index: i, Data: make([]byte, 60)})
	}
	h.from <- raft.RPC{Command: req, RespChan: h.answers}
}

// wantPassed takes the next request that has been passed on.
func (h *heldBack) wantPassed(indexes ...uint64) {
	h.t.Helper()
	var got []uint64
	for _, e := range entriesOf(<-h.b.to) {
		got = append(got, e.Index)
	}
	if !slices.Equal(got, indexes) {
		h.t.Errorf("passed %v, want %v", got, indexes)
	}
}

// wantHeld sends something that passes at any time, and it passes first.
func (h *heldBack) wantHeld() {
	h.t.Helper()
	go h.send()
	h.wantPassed()
}

func TestEntriesAreHeldWhileOthersWaitToBeApplied(t *testing.T) {
	h := newHeldBack(t)
	go h.send(1, 2)
	h.wantPassed(1, 2)
	go h.send(3) // nothing is committed yet
	h.wantPassed(3)
	h.committed.Store(3)
	h.send(4)
	h.wantHeld()
	h.b.progress.reach(1)
	h.wantHeld()
	h.b.progress.reach(2)
	h.wantPassed(4)

	h.committed.Store(4)
	h.send(5)
	h.wantHeld()
	h.send(5, 6) // the leader has given the first one up
	if answer := <-h.answers; !errors.Is(answer.Error, errHeld) {
		t.Errorf("the request that was given up: %v", answer.Error)
	}
	h.wantHeld()
	h.b.progress.reach(4)
	h.wantPassed(5, 6)
}

// Entries of a former leader are replaced in the log, and are never applied.
func TestReplacedEntriesAreNotWaitedFor(t *testing.T) {
	h := newHeldBack(t)
	go h.send(1, 2, 3, 4)
	h.wantPassed(1, 2, 3, 4)
	go h.send(2)
	h.wantPassed(2)
	h.committed.Store(4)
	h.b.progress.reach(1)
	go h.send(5)
	h.wantPassed(5)
}

// A snapshot brings entries that are then never applied one by one.
func TestRestoredEntriesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHeldBack(t)
	go h.send(1, 2, 3)
	h.wantPassed(1, 2, 3)
	h.committed.Store(3)
	h.send(4)
	h.wantHeld()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.mustPropose("a")
	m.cutLog()
	_, stream, err := m.sm.Snapshots().Open(m.newestSnapshot().ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.b.progress.Restore(stream), stream.Close()); err != nil {
		t.Fatal(err)
	}
	h.wantPassed(4)
}

// A follower that applies nothing any more keeps its leader, takes only so much of
// its log, and catches up afterwards.
func TestASlowFollowerBoundsWhatItTakes(t *testing.T) {
	t.Parallel()
	const bodyBytes, proposals = 16 << 10, 160
	// Those within the bound, and the requests that were under way when it was met,
	// each with all that the follower lagged behind.
	const taken = 8 + 3*maxAppendEntries
	all := newCluster(t, 3, func(c *Config) { c.maxUnappliedBytes = 8 * bodyBytes })
	leader := leaderOf(t, all)
	slow := followerOf(all, leader)
	leader.mustPropose("first")
	slow.read()
	proceed := make(chan struct{})
	slow.sm.setStall(func([]byte) { <-proceed })
	for i := range proposals {
		leader.mustPropose(fmt.Sprintf("%0*d", bodyBytes, i))
	}
	behind := leader.Status().LastLogIndex - slow.Status().LastLogIndex
	if behind < proposals-taken {
		t.Errorf("the follower has all but %d of %d entries, which are %d bytes each", behind, proposals, bodyBytes)
	}
	if s := slow.Status(); s.LeaderID != leader.name() || s.Term != leader.Status().Term {
		t.Errorf("the follower's status is %+v", s)
	}
	close(proceed)
	if got := len(slow.read()); got != proposals+1 {
		t.Errorf("the follower has caught up with %d entries", got)
	}
}
