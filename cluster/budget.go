package cluster

import (
	"context"
	"fmt"
	"sync"
)

// bytesPerBodyByte is what a proposal is charged for each byte of its body:
// besides the body, the log's cache, the decoded operations and the batch that
// is applied are in memory at the same time.
const bytesPerBodyByte = 8

// budget bounds the bytes in flight. As many bytes of bodies as it admits at a
// time wait for room, in turns.
type budget struct {
	max   int64
	turns turns
}

func newBudget(maxBytes int64, stopping <-chan struct{}) *budget {
	b := &budget{max: maxBytes}
	b.turns.room, b.turns.maxWaitingBytes, b.turns.stopping = maxBytes, b.maxBody(), stopping
	return b
}

// maxBody is the largest body that the budget can ever admit.
func (b *budget) maxBody() int64 { return b.max / bytesPerBodyByte }

// take reserves room for a body of the flow, which free gives back; see turns.take.
func (b *budget) take(ctx context.Context, flow string, bodyBytes int64) (free func(), err error) {
	if bodyBytes > b.maxBody() {
		return nil, fmt.Errorf("a proposal of %d bytes exceeds the limit of %d: %w", bodyBytes, b.maxBody(), ErrInvalid)
	}
	return b.turns.take(ctx, flow, bodyBytes*bytesPerBodyByte, bodyBytes)
}

// flights counts what is under way and has to end before a stop: proposals whose
// outcome is open, questions to Raft.
type flights struct {
	mu     sync.Mutex
	open   int
	closed bool
	idle   chan struct{} // not nil while drain waits
}

// begin counts one more, or returns false once drain was called.
func (f *flights) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.open++
	return true
}

func (f *flights) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
	if f.open == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// drain refuses new flights and waits until none is open or ctx is done.
func (f *flights) drain(ctx context.Context) {
	f.mu.Lock()
	f.closed = true
	if f.open == 0 {
		f.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	f.idle = idle
	f.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
