package simcluster

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counts are what a run has to show, over all seeds.
type counts struct {
	seeds, rounds atomic.Int64
	acked, reads  atomic.Int64
	caughtUp      atomic.Int64 // followers, with what is live
	restarts      atomic.Int64 // of followers, from the beginning
	next          atomic.Int64 // numbers what has no other name

	mu       sync.Mutex
	faults   map[string]int // that had an effect, by kind
	idle     map[string]int // that had none
	kinds    map[string]int // of commands that were applied
	codes    map[string]int // of answers that weren't a success
	simTime  time.Duration
	recovery time.Duration // the longest
}

func newCounts() *counts {
	return &counts{faults: make(map[string]int), idle: make(map[string]int), kinds: make(map[string]int), codes: make(map[string]int)}
}

func (c *counts) fault(name string, effective bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if effective {
		c.faults[name]++
	} else {
		c.idle[name]++
	}
}

func (c *counts) command(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds[kind]++
}

func (c *counts) answer(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.codes[code]++
}

func (c *counts) recovered(after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recovery = max(c.recovery, after)
}

func (c *counts) lived(simTime time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.simTime += simTime
}

func sum(by map[string]int) (total int64) {
	for _, n := range by {
		total += int64(n)
	}
	return total
}

// check fails a run that shows less than it should. A short one may fall behind the
// average, and by a larger part of what is few.
func (c *counts) check(t *testing.T) {
	const whole = seedsRun * rounds
	least := func(figure int64) int64 {
		if done := c.rounds.Load(); done < whole {
			share := float64(figure*done) / whole
			return int64(share*4/5 - 1.5*math.Sqrt(share))
		}
		return figure
	}
	for _, f := range []struct {
		what     string
		got, all int64
	}{
		{"acknowledged syncs", c.acked.Load(), ackedLeast},
		{"faults with an effect", sum(c.faults), faultsLeast},
		{"pauses of a leader with an effect", int64(c.faults[pausedLeader]), pausesLeast},
		{"times that somebody had all changes", c.caughtUp.Load(), caughtUpLeast},
		{"revoked keys", int64(c.kinds["KeyRevoke"]), commandsLeast},
		{"limits set", int64(c.kinds["LimitsSet"]), commandsLeast},
		{"deleted namespaces", int64(c.kinds["NamespaceDelete"]), commandsLeast},
		{"deleted stores", int64(c.kinds["StoreDelete"]), commandsLeast},
		{"deleted organizations", int64(c.kinds["OrgDelete"]), commandsLeast},
		{"deleted checkpoints", int64(c.kinds["CheckpointDelete"]), commandsLeast},
		{"collections of tombstones", int64(c.kinds["Collect"]), commandsLeast},
		{"collections of changes", int64(c.kinds["ChangeCollect"]), commandsLeast},
		{"reconciliations", int64(c.kinds["Reconcile"]), commandsLeast},
		{"syncs that omit contents", int64(c.kinds[omitting]), commandsLeast},
		{"syncs that omit too much", int64(c.kinds[omittingTooMuch]), commandsLeast},
		{"purges", int64(c.kinds["Purge"]), commandsLeast},
	} {
		if f.got < least(f.all) {
			t.Errorf("%d %s, want %d: the run shows less than it says", f.got, f.what, least(f.all))
		}
	}
}

func (c *counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d seeds, %v of their time: %d syncs acknowledged, %d reads, %d times all changes (%d times begun again), %d faults, and %d without an effect; at most %v until all wrote again\n",
		c.seeds.Load(), c.simTime.Round(time.Second), c.acked.Load(), c.reads.Load(), c.caughtUp.Load(), c.restarts.Load(), sum(c.faults), sum(c.idle), c.recovery.Round(time.Millisecond))
	for _, f := range faults {
		fmt.Fprintf(&b, "%6d (and %d) %s\n", c.faults[f.name], c.idle[f.name], f.name)
	}
	for _, by := range []map[string]int{c.kinds, c.codes} {
		for _, name := range slices.Sorted(maps.Keys(by)) {
			fmt.Fprintf(&b, "%6d %s\n", by[name], name)
		}
	}
	return b.String()
}
