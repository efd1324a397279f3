package cluster

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/raft"
)

// errSucceeded ends the wait for a leader that hangs.
var errSucceeded = errors.New("another leader has been elected meanwhile")

// succession knows when this node hears of another leader.
type succession struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
}

func newSuccession() *succession { return &succession{changed: make(chan struct{})} }

func (s *succession) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// run listens to r until ctx is done.
func (s *succession) run(ctx context.Context, r *raft.Raft) {
	// Raft doesn't wait for an observer. One that finds a change in the channel
	// looks at the newest anyway.
	heard := make(chan raft.Observation, 1)
	observer := raft.NewObserver(heard, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	r.RegisterObserver(observer)
	defer r.DeregisterObserver(observer)
	for {
		select {
		case <-heard:
			s.tell()
		case <-ctx.Done():
			return
		}
	}
}

func (s *succession) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// whileLeading is done, too, an election timeout after this node has heard of a leader
// in a term after term. Until then the one of term may answer what it has begun;
// one that hangs would be waited for until the caller's deadline.
func (n *Node) whileLeading(ctx context.Context, c *core, term uint64) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		for {
			changed := c.succession.change()
			if now, leader := c.leader(); now > term && leader != "" {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
		if n.pause(ctx, n.cfg.ElectionTimeout) {
			cancel(errSucceeded)
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}
