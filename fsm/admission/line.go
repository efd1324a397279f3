package admission

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// maxWaitersPerOrganization bounds how many syncs of one organization wait for those
// in flight. The window's limit is of the same order, so whoever is further back than
// this would be refused anyhow.
const maxWaitersPerOrganization = 1000

// line is where the syncs of one organization wait their turn.
//
// A sync in flight has been admitted and not yet released; it may or may not be
// applied already. So applied + in flight counts some twice, never too few, as long as
// in flight is held still while the applied state is read: release comes after apply,
// and both sides hold mu. A sync that finds the sum at the limit can't tell, and waits:
// it is decided anew, the first in line first, whenever one in flight is released.
// The same goes for refused + in flight of its API key: each of those may be refused.
type line struct {
	users int // guarded by the tenure's mu

	mu       sync.Mutex
	inFlight uint32
	bytes    uint64            // of those in flight
	byKey    map[string]uint32 // in flight by API key; only those that have some
	waiters  []chan struct{}   // first in line first; each has room for one wake-up
}

// ticket is what a sync in flight takes up.
type ticket struct {
	key   string // the API key
	bytes uint64
}

// room is what the applied state leaves for the syncs in flight and one more.
type room struct {
	window uint32 // of the organization: how many it would admit
	bytes  uint64 // of the organization: of how many bytes
	key    uint32 // of the API key: how many it may still refuse
}

// judgement decides from the applied state: either a reply that refuses, or the room
// that there is, of each at least one.
type judgement func() (refusal []byte, left room, err error)

// pass returns once the caller, a sync, is refused (by reply), admitted
// (counted in flight: it owes a release) or given up (by err).
func (l *line) pass(ctx context.Context, ended <-chan struct{}, sync ticket, judge judgement) (refusal []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	refusal, decided, err := l.decide(sync, judge, len(l.waiters) > 0)
	if decided {
		return refusal, err
	}
	if len(l.waiters) >= maxWaitersPerOrganization {
		return nil, ErrBusy
	}
	woken := make(chan struct{}, 1)
	l.waiters = append(l.waiters, woken)
	defer l.leave(woken)
	for {
		if err := l.wait(ctx, ended, woken); err != nil {
			return nil, err
		}
		if refusal, decided, err = l.decide(sync, judge, false); decided {
			return refusal, err
		}
	}
}

// decide judges the caller, and counts it as in flight if it is admitted; mu is held.
// Behind others it can be refused, but not admitted before them.
func (l *line) decide(sync ticket, judge judgement, behind bool) (refusal []byte, decided bool, err error) {
	refusal, left, err := judge()
	if err != nil || refusal != nil {
		return refusal, true, err
	}
	// With none in flight there is nobody to wait for: Apply has the last word.
	full := l.inFlight >= left.window || sync.bytes > left.bytes-min(l.bytes, left.bytes)
	if behind || l.inFlight > 0 && full || l.byKey[sync.key] > 0 && l.byKey[sync.key] >= left.key {
		return nil, false, nil
	}
	l.inFlight++
	l.bytes += sync.bytes
	if l.byKey == nil {
		l.byKey = map[string]uint32{}
	}
	l.byKey[sync.key]++
	return nil, true, nil
}

// wait gives up mu until the caller is woken as the first in line.
func (l *line) wait(ctx context.Context, ended <-chan struct{}, woken <-chan struct{}) error {
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-woken:
		return nil
	case <-ended:
		return ErrTerm
	case <-ctx.Done():
		return fmt.Errorf("waiting for syncs in flight: %w", ctx.Err())
	}
}

// leave takes a waiter out; mu is held. The one behind it is woken even when the
// leaver wasn't admitted: it may have been woken for a release that it never looked at.
func (l *line) leave(woken chan struct{}) {
	i := slices.Index(l.waiters, woken)
	l.waiters = slices.Delete(l.waiters, i, i+1)
	if i == 0 {
		l.wakeFirst()
	}
}

func (l *line) release(sync ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.bytes -= sync.bytes
	if l.byKey[sync.key]--; l.byKey[sync.key] == 0 {
		delete(l.byKey, sync.key)
	}
	l.wakeFirst()
}

func (l *line) wakeFirst() {
	if len(l.waiters) == 0 {
		return
	}
	select {
	case l.waiters[0] <- struct{}{}:
	default: // it has a wake-up that it hasn't seen yet
	}
}
