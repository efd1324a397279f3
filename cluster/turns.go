package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// turnBytes of bodies are what a flow may send at each of its turns. It saves
	// them up for a body that is larger.
	turnBytes = 64 << 10
	// maxWaiting bounds how many wait for room, of all flows together.
	maxWaiting = 4096
)

// turns shares out room that is bounded. While there is enough, whoever comes gets
// it at once. While there isn't, they wait: those of one flow in the order of
// arrival, and the flows in turns, so that each of them sends as many bytes as any
// other, however many wait in it and however large they are. This is deficit round
// robin (Shreedhar and Varghese, SIGCOMM 1995).
//
// The one whose turn it is gets the room that comes free, and nobody passes it: a
// large body is served in its turn too.
type turns struct {
	room            int64           // in units of the owner
	maxWaitingBytes int64           // of bodies
	stopping        <-chan struct{} // nil: never
	meters          *queueMeters

	mu           sync.Mutex
	used         int64   // of room
	ring         []*flow // those in which somebody waits; the first has the turn
	waiting      int
	waitingBytes int64
}

// flow is those who wait under one name.
type flow struct {
	name    string
	credit  int64 // bytes that it may still send at this turn
	bytes   int64 // of the bodies that wait
	waiters []*waiter
}

// waiter is decided once, under mu: it has its room, or err.
type waiter struct {
	flow    *flow // nil: it never waited
	room    int64
	bytes   int64
	decided chan struct{}
	err     error
}

// take returns when the caller has room, for a body of so many bytes of the flow,
// and free gives it back; it may be called more than once. One that needs no room
// never waits. The error matches ErrOverloaded, when the queue is full or at ctx's
// deadline, or ErrStopped.
func (t *turns) take(ctx context.Context, name string, room, bytes int64) (free func(), err error) {
	began := time.Now()
	err = t.await(ctx, name, room, bytes)
	if room > 0 {
		t.meters.waited(ctx, began, err)
	}
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { t.giveBack(room) }), nil
}

func (t *turns) await(ctx context.Context, name string, room, bytes int64) error {
	w, err := t.enter(name, room, bytes)
	if err != nil {
		return err
	}
	select {
	case <-w.decided:
	case <-ctx.Done():
		t.giveUp(w, fmt.Errorf("waiting for a turn: %w: %w", ErrOverloaded, context.Cause(ctx)))
	case <-t.stopping:
		t.giveUp(w, fmt.Errorf("waiting for a turn: %w", ErrStopped))
	}
	return w.err
}

func (t *turns) giveBack(room int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used -= room
	t.serve()
}

// giveUp ends w's wait with err, unless it was decided just before.
func (t *turns) giveUp(w *waiter, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-w.decided:
		return
	default:
	}
	t.decide(w, err)
	t.serve() // w may have had the turn
}

// enter gives the caller room if there is enough and nobody waits. Otherwise it is
// the last of its flow, if the queue isn't full.
func (t *turns) enter(name string, room, bytes int64) (*waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &waiter{room: room, bytes: bytes, decided: make(chan struct{})}
	if room == 0 || len(t.ring) == 0 && t.used+room <= t.room {
		t.used += room
		close(w.decided)
		return w, nil
	}
	t.enqueue(name, w)
	if t.full() {
		t.refuse(w)
		t.serve() // who has gone may have had the turn
	}
	return w, w.err
}

// enqueue makes w the last of its flow; mu is held.
func (t *turns) enqueue(name string, w *waiter) {
	i := slices.IndexFunc(t.ring, func(f *flow) bool { return f.name == name })
	if i < 0 {
		i = len(t.ring)
		t.ring = append(t.ring, &flow{name: name, credit: turnBytes})
	}
	w.flow = t.ring[i]
	w.flow.waiters = append(w.flow.waiters, w)
	w.flow.bytes += w.bytes
	t.waiting++
	t.waitingBytes += w.bytes
}

func (t *turns) full() bool { return t.waiting > maxWaiting || t.waitingBytes > t.maxWaitingBytes }

// refuse makes room in the queue: the last of the flow with the largest part of it
// go, one after another. That may be the newcomer; mu is held.
func (t *turns) refuse(newcomer *waiter) {
	for newcomer.err == nil && t.full() {
		fattest := newcomer.flow
		for _, f := range t.ring {
			if t.part(f) > t.part(fattest) {
				fattest = f
			}
		}
		err := fmt.Errorf("%d proposals of %d bytes wait: %w", t.waiting, t.waitingBytes, ErrOverloaded)
		t.decide(fattest.waiters[len(fattest.waiters)-1], err)
	}
}

// part is how large a part of the queue f has, by number or by bytes, whichever is
// larger.
func (t *turns) part(f *flow) int64 {
	return max(int64(len(f.waiters))*t.maxWaitingBytes, f.bytes*maxWaiting)
}

// serve gives room to those whose turn it is, while there is enough; mu is held.
func (t *turns) serve() {
	for len(t.ring) > 0 {
		w := t.next()
		if t.used+w.room > t.room {
			return
		}
		t.used += w.room
		w.flow.credit -= w.bytes
		t.decide(w, nil)
	}
}

// next passes the turn on until it is with a flow that may send its first. Rounds
// are at most as many as the bytes that wait have turnBytes; mu is held.
func (t *turns) next() *waiter {
	for {
		f := t.ring[0]
		if f.waiters[0].bytes <= f.credit {
			return f.waiters[0]
		}
		f.credit += turnBytes
		t.ring = append(t.ring[1:], f)
	}
}

// decide ends a wait. A flow in which nobody waits is forgotten; mu is held.
func (t *turns) decide(w *waiter, err error) {
	f := w.flow
	i := slices.Index(f.waiters, w)
	f.waiters = slices.Delete(f.waiters, i, i+1)
	f.bytes -= w.bytes
	t.waiting--
	t.waitingBytes -= w.bytes
	if len(f.waiters) == 0 {
		i := slices.Index(t.ring, f)
		t.ring = slices.Delete(t.ring, i, i+1)
	}
	w.err = err
	close(w.decided)
}
