package fsm

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/internal/crashfs"
	"pipesync/internal/seeds"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "run the crash tests with this seed alone")
	crashSeeds = flag.Int("crash.seeds", 0, "run the crash tests with so many seeds")
)

const (
	crashSeedsRun   = 2000
	crashSeedsRace  = 200
	crashSeedsShort = 50
	crashSeedsSoak  = 100_000

	crashEntriesMax = 40 // in a history
	crashesMax      = 6  // in a run
	// A tiny memtable is full, and flushed behind the state machine's back, every
	// few entries.
	crashMemtableBytes = 12 << 10
	// A crash that is armed comes this many writes later at most: a restore is
	// some 60 of them.
	crashWritesAhead = 80
)

// crashSeedRange is where the seeds begin and how many there are.
func crashSeedRange(t *testing.T) (first uint64, n int) {
	if *crashSeed != 0 {
		return *crashSeed, 1
	}
	first, err := seeds.First()
	must(t, err)
	switch {
	case *crashSeeds > 0:
		n = *crashSeeds
	case os.Getenv("PIPESYNC_SOAK") != "":
		n = crashSeedsSoak
	case testing.Short():
		n = crashSeedsShort
	case raceEnabled:
		n = crashSeedsRace
	default:
		n = crashSeedsRun
	}
	return first, n
}

// TestCrashes applies random histories on a disk that loses none, half or all of
// what isn't synced, at random moments: between entries, and at any write of a
// flush, a snapshot, a restore or an opening. After each crash the state is, byte
// for byte, one that the instance that never crashed has had, and none older
// than what was flushed. After the replay of the log it goes on as if nothing had
// happened, and the replies are the same too.
func TestCrashes(t *testing.T) {
	first, n := crashSeedRange(t)
	t.Logf("%d seeds from %d", n, first)
	var next atomic.Uint64
	var total crashCounts
	var workers sync.WaitGroup
	t.Run("seeds", func(t *testing.T) {
		for range min(n, runtime.GOMAXPROCS(0)) {
			workers.Add(1)
			t.Run("worker", func(t *testing.T) {
				defer workers.Done()
				t.Parallel()
				for i := next.Add(1) - 1; i < uint64(n); i = next.Add(1) - 1 {
					runCrashSeed(t, first+i, &total)
				}
			})
		}
	})
	t.Logf("crashes: %d, of which %d lost entries, %d in the middle of something; %d openings were crashed, %d restores repeated at a start",
		total.crashes.Load(), total.lost.Load(), total.inside.Load(), total.openings.Load(), total.restarts.Load())
	never := total.lost.Load() == 0 || total.inside.Load() == 0 || total.openings.Load() == 0
	// About one in ten seeds repeats a restore: of a few, by chance none does.
	never = never || n >= crashSeedsRace && total.restarts.Load() == 0
	if n >= crashSeedsShort && !t.Failed() && never {
		t.Error("something never happened: the test shows less than it says")
	}
}

type crashCounts struct{ crashes, lost, inside, openings, restarts atomic.Int64 }

func runCrashSeed(t *testing.T, seed uint64, total *crashCounts) {
	done := false
	defer func() {
		if !done {
			t.Error(replayCrash(seed))
		}
	}()
	h := newHistory(t, seed, crashEntriesMax)
	disk, err := newCrashDisk()
	must(t, err)
	c := &crasher{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 2)), h: h, disk: disk, total: total}
	c.run()
	done = true
}

// crasher is an instance that crashes, and raft around it.
type crasher struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	h     *history
	total *crashCounts
	disk  *crashfs.FS
	r     *rig

	next    int    // the step to be applied next
	reached uint64 // no entry after this one was ever applied

	flush    chan error    // of the flush that is under way, or nil
	restores atomic.Uint64 // begun and ended

	mu      sync.Mutex
	durable kept // what survives a crash at least
	floor   kept // durable at the moment of the last crash
}

// kept are the indexes of the last entry in the state and in a snapshot.
type kept struct{ state, snapshot uint64 }

func (c *crasher) run() {
	c.open(c.disk)
	for crashes := 0; c.next < len(c.h.steps); {
		if crashes == crashesMax || c.rng.IntN(4) > 0 {
			c.act()
			continue
		}
		crashes++
		c.crash()
	}
	c.join()
	c.r.close()
	c.durable.state = c.r.fsm.Applied()
	c.note()
	c.open(c.disk.Crash(c.percent(), c.rng))
	compareToModel(c.t, c.r, c.h.model)
	c.r.close()
}

func (c *crasher) percent() int { return c.rng.IntN(3) * 50 }

// act does one thing that a node does.
func (c *crasher) act() {
	switch c.rng.IntN(12) {
	case 0:
		c.join()
		c.flush = make(chan error, 1)
		go func(f *FSM, done chan<- error) { done <- c.flushState(f) }(c.r.fsm, c.flush)
	case 1:
		must(c.t, c.flushState(c.r.fsm))
	case 2:
		c.takeSnapshot()
	case 3:
		c.install()
	default:
		for range 1 + c.rng.IntN(6) {
			c.apply()
		}
	}
}

// flushState may run beside everything else. While a restore runs a flush promises
// nothing.
func (c *crasher) flushState(f *FSM) error {
	at, before := f.Applied(), c.restores.Load()
	err := f.Flush()
	if err == nil && before%2 == 0 && before == c.restores.Load() {
		c.keep(at)
	}
	return err
}

// keep notes that a crash takes nothing up to the index.
func (c *crasher) keep(at uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.durable.state = max(c.durable.state, at)
}

// note is for the moment of a crash.
func (c *crasher) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.floor = c.durable
}

// join waits for the flush that is under way.
func (c *crasher) join() {
	c.t.Helper()
	if c.flush != nil {
		must(c.t, <-c.flush)
		c.flush = nil
	}
}

// apply hands the next entry over. One that is in the state is skipped; any other
// gets the answer that it got before, or would have.
func (c *crasher) apply() {
	c.t.Helper()
	if c.next == len(c.h.steps) {
		return
	}
	s := c.h.steps[c.next]
	c.next++
	applied := c.r.fsm.Applied()
	c.reached = max(c.reached, s.log.Index)
	response := c.r.fsm.Apply(s.log)
	if s.log.Index <= applied {
		if response != nil {
			c.t.Fatalf("entry %d, applied already, was answered: %v", s.log.Index, response)
		}
		return
	}
	if diff := cmp.Diff(s.response, fmt.Sprint(response)); diff != "" {
		c.t.Fatalf("response to entry %d: %s", s.log.Index, diff)
	}
	c.verify("after an entry")
}

// verify compares the whole state with what it was in the instance that never
// crashed.
func (c *crasher) verify(when string) {
	c.t.Helper()
	applied := c.r.fsm.Applied()
	want, known := c.h.hashes[applied]
	if !known {
		c.t.Fatalf("%s: applied %d, which is no entry's index", when, applied)
	}
	if stateHash(c.t, c.r.fsm) != want {
		c.t.Fatalf("%s: state at entry %d (-plain +crashed): %s", when, applied,
			cmp.Diff(c.h.replayTo(c.t, c.seed, applied), dump(c.t, c.r.fsm)))
	}
}

// takeSnapshot has raft keep a snapshot and cut its log. It may be restored at
// once, which changes nothing.
func (c *crasher) takeSnapshot() {
	c.t.Helper()
	at := c.r.fsm.Applied()
	id := c.r.persist()
	if c.disk.Crashed() {
		return // raft doesn't know of it
	}
	c.keep(at)
	c.adopt(at)
	if c.rng.IntN(3) == 0 {
		c.restore(id, at)
	}
}

// adopt notes that raft has a snapshot, and nothing of its log before it.
func (c *crasher) adopt(at uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.durable.snapshot = at
}

func (c *crasher) restore(id string, at uint64) {
	c.t.Helper()
	c.reached = max(c.reached, at)
	c.restores.Add(1)
	must(c.t, c.r.restoreFrom(id))
	c.restores.Add(1)
	if !c.disk.Crashed() {
		c.keep(at)
	}
	c.verify("after a restore")
}

// install is what a leader does to a follower that lags behind its log.
func (c *crasher) install() {
	c.t.Helper()
	for i := c.next; i < len(c.h.steps); i++ {
		s := c.h.steps[i]
		if s.snapshot == nil {
			continue
		}
		at := s.log.Index
		for j := i; c.h.steps[j].log.Term != testTerm; j-- {
			at = c.h.steps[j-1].log.Index // fenced entries aren't in the state
		}
		if at <= c.r.fsm.Applied() {
			continue
		}
		id, err := c.r.install(bytes.NewReader(s.snapshot), at)
		must(c.t, err)
		if !c.disk.Crashed() {
			c.adopt(at)
		}
		c.restore(id, at)
		c.next = i + 1
		return
	}
}

// crash has the node crash in one of the next things that it does, or behind
// them, and starts it again.
func (c *crasher) crash() {
	c.t.Helper()
	c.total.crashes.Add(1)
	c.disk.Arm(c.rng.IntN(1+c.rng.IntN(crashWritesAhead)), c.percent(), rand.New(rand.NewPCG(c.seed, c.rng.Uint64())), c.note)
	for i := 0; i < 4 && !c.disk.Crashed(); i++ {
		c.act()
	}
	disk := c.disk.Disarm()
	if disk == nil {
		c.note()
		disk = c.disk.Crash(c.percent(), c.rng)
	} else {
		c.total.inside.Add(1)
	}
	c.join()
	c.r.close() // of what it writes the crashed disk gets nothing
	before := c.r.fsm.Applied()
	c.open(disk)
	if c.r.fsm.Applied() < before {
		c.total.lost.Add(1)
	}
	c.start()
}

// open opens what a crash has left; the opening may crash itself.
func (c *crasher) open(disk *crashfs.FS) {
	c.t.Helper()
	for range c.rng.IntN(2) {
		r := c.rigOn(disk)
		disk.Arm(c.rng.IntN(30), c.percent(), rand.New(rand.NewPCG(c.seed, c.rng.Uint64())), func() {})
		r.open()
		crashed := disk.Disarm()
		r.close()
		if crashed == nil {
			crashed = disk.Crash(c.percent(), c.rng)
		} else {
			c.total.openings.Add(1)
		}
		disk = crashed
	}
	c.disk, c.r = disk, c.rigOn(disk)
	c.r.open()
	applied := c.r.fsm.Applied()
	if applied < c.floor.state || applied > c.reached {
		c.t.Fatalf("applied %d after a crash, want %d to %d", applied, c.floor.state, c.reached)
	}
	c.durable = kept{applied, c.floor.snapshot}
	c.verify("after a crash")
	c.verifySnapshots()
	names, err := onDisk(disk).List(crashHome)
	must(c.t, err)
	names = slices.DeleteFunc(names, func(name string) bool { return name == versionName || name == versionTemp })
	if len(names) != 3 || names[0] != currentName || names[2] != snapshotsName {
		c.t.Fatalf("left after an opening: %v", names)
	}
}

// verifySnapshots reads those that a crash has left.
func (c *crasher) verifySnapshots() {
	c.t.Helper()
	list, err := c.r.fsm.Snapshots().List()
	must(c.t, err)
	newest := uint64(0)
	for _, s := range list {
		newest = max(newest, s.Index)
		c.r.streamOf(s.ID)
	}
	if newest < c.floor.snapshot {
		c.t.Fatalf("after a crash the newest snapshot is of entry %d, it was of %d", newest, c.floor.snapshot)
	}
	names, err := onDisk(c.disk).List(filepath.Join(crashHome, snapshotsName))
	must(c.t, err)
	if len(names) != len(list) || len(list) > snapshotsKept {
		c.t.Fatalf("%d snapshots, directories %v", len(list), names)
	}
}

func (c *crasher) rigOn(disk *crashfs.FS) *rig {
	r := crashRig(c.t, c.seed, disk)
	options := r.opts
	r.opts = func(o *Options) {
		options(o)
		if c.seed%2 == 0 {
			o.MemtableBytes = crashMemtableBytes
		}
	}
	return r
}

// start does what raft and the node do at a start: restore the snapshot, if the
// state lacks any of it, and go on with the log that begins behind it.
func (c *crasher) start() {
	c.t.Helper()
	c.next = 0
	list, err := c.r.fsm.Snapshots().List()
	must(c.t, err)
	if len(list) == 0 {
		return
	}
	cutAt := list[0].Index // the log begins behind it
	_, stream, err := c.r.fsm.Snapshots().Open(list[0].ID)
	must(c.t, err)
	covered, err := c.r.fsm.Covers(stream)
	must(c.t, errors.Join(err, stream.Close()))
	if !covered {
		c.total.restarts.Add(1)
		c.restore(list[0].ID, cutAt)
	}
	for c.next < len(c.h.steps) && c.h.steps[c.next].log.Index <= cutAt {
		c.next++
	}
}
