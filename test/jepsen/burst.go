package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pipesync/test/jepsen/history"
)

const (
	burstOrg = "org_burst"
	// Of the clients of bursts some write, the first few of them large batches, and some
	// only read.
	burstWriters, largeWriters, burstReaders = 8, 2, 2
	burstLimit                               = 10_000
	// A burst begins burstLead before something breaks or is healed, and lasts burstTime.
	burstLead = 250 * time.Millisecond
	burstTime = 1500 * time.Millisecond
	// burstRest is how long a client waits that got no answer, or a refusal.
	burstRest = 100 * time.Millisecond
	// burstAttemptSeconds is longer than a node goes on with a request: it says itself
	// what has become of it.
	burstAttemptSeconds = 12
	// In large batches there are largeBatch records: a state machine takes a while for one.
	largeBatch = 3000
)

// bursts are when clients send as fast as they can: around the moments at which the
// nemesis breaks or heals something. What a fault does to requests it does to those that
// are under way just then, and few are at a usual pace.
type bursts struct {
	mu   sync.Mutex
	on   chan struct{} // closed while there is one
	live bool          // there is one
	end  time.Time     // of it
}

func newBursts() *bursts { return &bursts{on: make(chan struct{})} }

// begin has a burst last for a while from now on, or the one that there is for so long at
// least.
func (b *bursts) begin(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if end := time.Now().Add(d); end.After(b.end) {
		b.end = end
	}
	if !b.live {
		b.live = true
		close(b.on)
		time.AfterFunc(d, b.over)
	}
}

// over ends a burst, unless it was prolonged.
func (b *bursts) over() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := time.Until(b.end); left > 0 {
		time.AfterFunc(left, b.over)
		return
	}
	b.live, b.on = false, make(chan struct{})
}

// await returns false if ctx ends before a burst begins.
func (b *bursts) await(ctx context.Context) bool {
	b.mu.Lock()
	on := b.on
	b.mu.Unlock()
	select {
	case <-on:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// burstWrites is what a client of bursts does that writes. It does so without keys, into a
// namespace of its own, and looks for what was acknowledged through other nodes at once.
// After a batch that was sent and not acknowledged it goes on in another namespace, so
// that what has become of it can be seen in the end.
func (w *worker) burstWrites(ctx context.Context, large bool) {
	for w.c.r.bursts.await(ctx) {
		namespace := fmt.Sprintf("burst-%d", w.id)
		op := w.begin(w.node())
		op.Sync = w.burstBatch(namespace, large)
		w.send(context.WithoutCancel(ctx), op, w.request(op.Sync))
		w.c.done(op)
		switch {
		case op.Outcome == history.OK && !large:
			w.c.written.Store(namespace)
			fallthrough
		case op.Outcome == history.OK:
			w.lookTwice(ctx)
			continue
		case op.Code != "UNREACHABLE":
			w.id = int(w.c.ids.Add(1))
			if !large {
				w.c.mu.Lock()
				w.c.doubtful = append(w.c.doubtful, namespace)
				w.c.mu.Unlock()
			}
		}
		time.Sleep(burstRest)
	}
}

// burstReads looks at what was written last, again and again, from one node to another.
func (w *worker) burstReads(ctx context.Context) {
	for w.c.r.bursts.await(ctx) {
		w.lookTwice(ctx)
	}
}

// lookTwice looks at what one node has applied of the namespace that was written last,
// and then at what the cluster has of it, through another.
func (w *worker) lookTwice(ctx context.Context) {
	namespace, ok := w.c.written.Load().(string)
	if !ok {
		namespace = loose // there is nothing yet
	}
	first := w.rng.IntN(len(w.t.at))
	second := (first + 1 + w.rng.IntN(len(w.t.at)-1)) % len(w.t.at)
	err := w.read(context.WithoutCancel(ctx), first, namespace, false)
	if err == nil {
		err = w.read(context.WithoutCancel(ctx), second, namespace, true)
	}
	if err != nil {
		time.Sleep(burstRest)
	}
}

func (w *worker) burstBatch(namespace string, large bool) *history.Sync {
	s := &history.Sync{Mode: history.Incremental}
	if large {
		s.Writes = []history.Write{{Namespace: namespace, ID: "id", Value: w.c.values.Add(1), Count: largeBatch}}
		return s
	}
	for _, id := range w.rng.Perm(idsPerNamespace)[:1+w.rng.IntN(3)] {
		write := history.Write{Namespace: namespace, ID: fmt.Sprint("id", id), Value: w.c.values.Add(1)}
		if len(s.Writes) > 0 && w.rng.IntN(8) == 0 {
			write.Value = 0
		}
		s.Writes = append(s.Writes, write)
	}
	return s
}
