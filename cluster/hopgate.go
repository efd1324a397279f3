package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
)

const (
	// maxForwards proposals of this node are with the leader at a time. The other
	// operations find connections beside them: see maxHopConns.
	maxForwards = 112
	// maxForwardsWaiting more wait for their turn.
	maxForwardsWaiting = 4096
)

// hopGate lets so many proposals at a time over the hop, in order. More of them
// would not be decided sooner, and each takes a connection to the leader's peer
// port, where Raft's own have to find room.
type hopGate struct {
	slots   chan struct{}
	waiting atomic.Int64
	most    int64 // waiting
}

func newHopGate(slots int, waiting int64) *hopGate {
	return &hopGate{slots: make(chan struct{}, slots), most: waiting}
}

// enter returns when it is the caller's turn, which ends with leave.
func (g *hopGate) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-g.slots }
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	default:
	}
	defer g.waiting.Add(-1)
	if n := g.waiting.Add(1); n > g.most {
		return nil, fmt.Errorf("%d proposals wait to be forwarded: %w", n-1, ErrOverloaded)
	}
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to forward a proposal: %w: %w", errLeaderBusy, context.Cause(ctx))
	}
}
