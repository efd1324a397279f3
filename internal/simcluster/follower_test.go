package simcluster

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"time"

	"pipesync/fsm"
)

const (
	followers = 3
	// followPages are how many pages a follower reads of an organization's store.
	followPages = 60
	// pagesToRest are how many it reads on average until it is away for awayTime,
	// longer than a tombstone is kept.
	pagesToRest = 40
	awayTime    = 3 * tombstoneSeconds * time.Second
)

// follower folds the changes of one organization's store after another's, from
// whichever node it meets.
type follower struct {
	w   *world
	rng *rand.Rand

	org     string
	at      fsm.Cursor
	records map[string]map[string]string // by namespace and id
}

// run works until ctx ends.
func (f *follower) run(ctx context.Context) {
	pace := &client{rng: f.rng}
	for n := 0; pace.think(ctx); n++ {
		if n%followPages == 0 {
			f.org = pace.org()
			f.begin()
		}
		if p := f.w.anyMachine(f.rng).running(); p != nil {
			f.page(p)
		}
		if f.rng.IntN(pagesToRest) == 0 && !sleep(ctx, awayTime) {
			return
		}
	}
}

func (f *follower) begin() {
	f.at, f.records = fsm.Cursor{}, make(map[string]map[string]string)
}

// page reads the next page at a node. Where it is the last one, what has been
// folded must be what is live.
func (f *follower) page(p *process) {
	view, err := p.state.View()
	if err != nil {
		return // it restores, or stops
	}
	defer view.Close()
	page, err := view.Changes(f.org, store, f.at, 1+f.rng.IntN(20))
	switch {
	case errors.Is(err, fsm.ErrCursorAhead):
		return
	case errors.Is(err, fsm.ErrCursorCompacted), errors.Is(err, fsm.ErrStoreNotFound):
		f.w.counts.restarts.Add(1)
		f.begin()
		return
	case err != nil:
		f.w.violate("%s: reading changes: %v", p.m.name, err)
		return
	}
	for i := range page.Changes {
		f.fold(&page.Changes[i])
	}
	f.at = page.Next
	if page.CaughtUp && f.w.ledger.reach(p, view.Applied()) {
		defer f.w.ledger.mu.Unlock()
		f.compare(p, view.Applied())
	}
}

func (f *follower) fold(c *fsm.Change) {
	if f.records[c.Namespace] == nil {
		f.records[c.Namespace] = make(map[string]string)
	}
	if c.Deleted {
		delete(f.records[c.Namespace], c.ID)
	} else {
		f.records[c.Namespace][c.ID] = string(c.Data)
	}
}

// compare needs the ledger's mutex.
func (f *follower) compare(p *process, index uint64) {
	f.w.counts.caughtUp.Add(1)
	for _, ns := range append([]string{late}, tracked...) {
		if got, want := f.records[ns], f.w.ledger.contents(f.org, ns).all(index); !maps.Equal(got, want) {
			f.w.violate("folded at %s up to %+v, %s/%s is\n%v\nbut at entry %d it is\n%v", p.m.name, f.at, f.org, ns, got, index, want)
			f.begin()
		}
	}
}
