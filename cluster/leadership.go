package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// leadership knows in which term this node leads and is ready: the term's first
// Barrier has completed, so every entry of earlier terms has been applied, and
// the gate has been told.
type leadership struct {
	raft     *raft.Raft
	progress *progress
	gate     Gate
	notify   chan bool // Raft blocks on it, so it is always drained

	mu      sync.Mutex
	ready   uint64        // term; 0: not a ready leader
	told    uint64        // the newest term that the gate knows
	changed chan struct{} // closed at the next change of ready
}

func newLeadership(gate Gate) *leadership {
	return &leadership{gate: gate, notify: make(chan bool, 8), changed: make(chan struct{})}
}

// run drains Raft's notifications until ctx is done. Each gained leadership is
// established apart, so that a slow Barrier never blocks Raft.
func (l *leadership) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	end := func() {}
	defer func() { end() }()
	for {
		select {
		case <-ctx.Done():
			return
		case leads := <-l.notify:
			end()
			l.set(0)
			if leads {
				term, cancel := context.WithCancel(ctx)
				end = cancel
				wg.Go(func() { l.establish(term) })
			}
		}
	}
}

// establish completes the term's first Barrier. The term is read before and
// after: only if it is the same, and this node still leads, was the Barrier
// committed in it.
func (l *leadership) establish(ctx context.Context) {
	for ctx.Err() == nil {
		term := l.raft.CurrentTerm()
		before := l.raft.LastIndex() // of a leader, whose log only grows
		err := await(ctx, func() error { return l.raft.Barrier(barrierEnqueueTimeout).Error() })
		switch {
		case err == nil:
			if leads(l.raft, term) {
				l.progress.reach(before)
				l.become(ctx, term)
			}
			return
		case !errors.Is(err, raft.ErrEnqueueTimeout) && !errors.Is(err, raft.ErrLeadershipTransferInProgress):
			return
		}
		select {
		case <-time.After(minRetryDelay):
		case <-ctx.Done():
		}
	}
}

func (l *leadership) become(ctx context.Context, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if l.told < term {
		l.told = term
		l.gate.LeaderReady(term)
	}
	l.setLocked(term)
}

func (l *leadership) set(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setLocked(term)
}

func (l *leadership) setLocked(term uint64) {
	l.ready = term
	close(l.changed)
	l.changed = make(chan struct{})
}

// term is the one in which this node is a ready leader; 0: in none.
func (l *leadership) term() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready
}

// change returns a channel that is closed when leadership is next gained or lost.
func (l *leadership) change() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// await returns when this node is a ready leader in term, or with errNotLeader
// or errOtherTerm when it can't become one.
func (l *leadership) await(ctx context.Context, term uint64) error {
	for {
		l.mu.Lock()
		ready, changed := l.ready, l.changed
		l.mu.Unlock()
		switch now := l.raft.CurrentTerm(); {
		case now != term:
			return fmt.Errorf("addressed in term %d, now in %d: %w", term, now, errOtherTerm)
		case l.raft.State() != raft.Leader:
			return errNotLeader
		case ready == term:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("awaiting the first barrier of term %d: %w", term, errLeaderBusy)
		}
	}
}

// leads reports whether r leads in term at some moment during the call. Terms
// only grow, so the same one before and after was the one in between.
func leads(r *raft.Raft, term uint64) bool {
	return r.CurrentTerm() == term && r.State() == raft.Leader && r.CurrentTerm() == term
}

// await runs wait, which can't be interrupted, until ctx is done. Afterwards
// wait goes on by itself; all of Raft's futures end at the latest when Raft
// steps down or stops.
func await(ctx context.Context, wait func() error) error {
	done := make(chan error, 1)
	go func() { done <- wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
