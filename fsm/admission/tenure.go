package admission

import (
	"sync"
	"time"
)

// tenure is one term of this process's leadership. All that is counted lives and
// dies with it: when a later term is ready, its Barrier has decided every entry of
// the earlier ones, so nothing of theirs is in flight any more.
type tenure struct {
	term  uint64
	clock Clock

	// Cluster time is base at the monotonic reading since, and advances with the
	// monotonic clock from there. Both stay as they are for the whole term.
	base  int64
	since time.Duration

	ended chan struct{} // closed when a later term is ready

	refusals *refusals

	mu    sync.Mutex
	lines map[string]*line // by organization; only those in use
}

func newTenure(term uint64, clock Clock, base int64, since time.Duration) *tenure {
	return &tenure{
		term: term, clock: clock, base: base, since: since,
		ended: make(chan struct{}), refusals: newRefusals(), lines: map[string]*line{},
	}
}

// now is cluster time, in nanoseconds since bootstrap.
func (t *tenure) now() int64 {
	return t.base + int64(max(0, t.clock.Monotonic()-t.since))
}

// enter returns the line of org and keeps it until the matching exit.
func (t *tenure) enter(org string) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[org]
	if l == nil {
		l = &line{}
		t.lines[org] = l
	}
	l.users++
	return l
}

func (t *tenure) exit(org string, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(t.lines, org)
	}
}
