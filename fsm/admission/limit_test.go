package admission

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pipesync/fsm"
)

// tally counts what became of the syncs of a test.
type tally struct {
	mu        sync.Mutex
	ok        int
	refused   int
	byApply   int             // refusals that cost an entry
	remaining map[uint32]bool // as told to those that were admitted
}

func (c *tally) add(t *testing.T, r *fsm.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.Outcome {
	case fsm.OK:
		c.ok++
		if c.remaining[r.Sync.Window.Remaining] {
			t.Errorf("two syncs were told that %d remain", r.Sync.Window.Remaining)
		}
		c.remaining[r.Sync.Window.Remaining] = true
	case fsm.RateLimited:
		c.refused++
		if r.Index != 0 {
			c.byApply++
		}
		if r.Sync.Window.Remaining != 0 || r.Sync.Window.Limit != testLimit {
			t.Errorf("refused with the window %+v", r.Sync.Window)
		}
	default:
		t.Errorf("outcome %d", r.Outcome)
	}
}

// flood has callers propose one sync each, all at once. Of those that are admitted the
// first failing ones never get to the log.
func (g *group) flood(t *testing.T, leader *node, callers, failing int) *tally {
	t.Helper()
	var all sync.WaitGroup
	var admitted atomic.Int64
	count := &tally{remaining: map[uint32]bool{}}
	for i := range callers {
		body := syncBody(t, i)
		all.Go(func() {
			reply, release, err := leader.gate.Admit(t.Context(), g.term, body)
			if err != nil {
				t.Error(err)
				return
			}
			if reply != nil {
				count.add(t, decode(t, reply))
				return
			}
			defer release(nil)
			if admitted.Add(1) > int64(failing) {
				count.add(t, decode(t, g.commit(t, leader, body)))
			}
		})
	}
	all.Wait()
	assertIdle(t, leader.gate)
	return count
}

func TestExactlyTheLimit(t *testing.T) {
	g := newGroup(t, 1)
	before := g.index
	got := g.flood(t, g.nodes[0], 400, 0)
	if got.ok != testLimit || got.refused != 400-testLimit {
		t.Errorf("%d admitted, %d refused", got.ok, got.refused)
	}
	if entries := g.index - before; entries != testLimit || got.byApply != 0 {
		t.Errorf("%d entries for %d admitted syncs; Apply refused %d", entries, got.ok, got.byApply)
	}
}

// TestExactlyTheBytes floods a window that has room for the bytes of ten: no more are
// admitted, none costs an entry in vain, and none is refused for what then fails.
func TestExactlyTheBytes(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	bodies := make([][]byte, 60)
	for i := range bodies {
		bodies[i] = syncBody(t, i+100) // all of the same size
	}
	header, err := fsm.DecodeHeader(bodies[0])
	if err != nil {
		t.Fatal(err)
	}
	const room, failing = 10, 15
	g.propose(t, n, encode(t, &fsm.LimitsSet{
		RequestID: fsm.RequestID{3}, Org: testOrg, Figures: []fsm.FigureValue{{Number: 2, Value: room*uint64(header.RawBytes) + 1}},
	}))
	before := g.index
	var all sync.WaitGroup
	var admitted, applied, refused atomic.Int64
	for _, body := range bodies {
		all.Go(func() {
			reply, release, err := n.gate.Admit(t.Context(), g.term, body)
			if err != nil {
				t.Error(err)
				return
			}
			if reply == nil {
				defer func() { release(reply) }()
				if admitted.Add(1) <= failing {
					return // on its way to the log
				}
				reply = g.commit(t, n, body)
			}
			switch got := decode(t, reply); {
			case got.Outcome == fsm.OK:
				applied.Add(1)
			case got.Outcome == fsm.RateLimited && got.Index == 0 && got.Sync.RetryMillis == uint32(testWindow.Milliseconds()):
				refused.Add(1)
			default:
				t.Errorf("%+v %+v", got, got.Sync)
			}
		})
	}
	all.Wait()
	if applied.Load() != room || refused.Load() != int64(len(bodies)-room-failing) || g.index-before != room {
		t.Errorf("%d applied, %d refused, %d entries", applied.Load(), refused.Load(), g.index-before)
	}
	assertIdle(t, n.gate)
}

// TestNoneIsRefusedForOneInFlight sends as many more as fail: all of them have a place.
func TestNoneIsRefusedForOneInFlight(t *testing.T) {
	g := newGroup(t, 1)
	got := g.flood(t, g.nodes[0], testLimit+70, 70)
	if got.ok != testLimit || got.refused != 0 {
		t.Errorf("%d admitted, %d refused", got.ok, got.refused)
	}
}

// TestTheLimitHoldsOverAChangeOfLeader spreads one window over three leaders, then lets
// it pass: to the last millisecond on the clock of a leader that was there all along.
func TestTheLimitHoldsOverAChangeOfLeader(t *testing.T) {
	g := newGroup(t, 3)
	total := 0
	for i := range g.nodes {
		total += g.flood(t, g.lead(i), 45, 0).ok
		for _, n := range g.nodes {
			n.clock.advance(time.Second)
		}
	}
	if total != testLimit {
		t.Fatalf("%d admitted under three leaders", total)
	}
	leader := g.lead(0)
	// The first 45 were admitted 3 s ago, the next 45 2 s ago.
	leader.clock.advance(testWindow - 3*time.Second - time.Millisecond)
	if got := g.flood(t, leader, 10, 0); got.ok != 0 {
		t.Fatalf("%d admitted within the window", got.ok)
	}
	leader.clock.advance(time.Millisecond)
	if got := g.flood(t, leader, 60, 0); got.ok != 45 {
		t.Errorf("%d admitted when 45 had left", got.ok)
	}
	leader.clock.advance(time.Second)
	if got := g.flood(t, leader, 60, 0); got.ok != 45 {
		t.Errorf("%d admitted when 45 more had left", got.ok)
	}
}

// TestAReleaseCountsOnce: a second call must not make room for one too many.
func TestAReleaseCountsOnce(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	releases := g.fillFlight(t, n)
	releases[0](nil)
	releases[0](nil)
	releases[0](nil)
	if got := n.gate.current.lines[testOrg]; got.inFlight != testLimit-1 || got.users != testLimit-1 {
		t.Fatalf("%d in flight, %d users", got.inFlight, got.users)
	}
	for _, release := range releases[1:] {
		release(nil)
	}
	assertIdle(t, n.gate)
}

// fillFlight admits as many as the limit allows, and takes none of them to the log.
func (g *group) fillFlight(t *testing.T, n *node) (releases []func([]byte)) {
	t.Helper()
	for i := range testLimit {
		_, release, err := n.gate.Admit(t.Context(), g.term, syncBody(t, i))
		if err != nil || release == nil {
			t.Fatalf("admission %d: %v", i, err)
		}
		releases = append(releases, release)
	}
	return releases
}

// awaitWaiting returns when n syncs of testOrg wait at gate.
func awaitWaiting(t *testing.T, gate *Gate, n int) {
	t.Helper()
	gate.mu.Lock()
	l := gate.current.enter(testOrg)
	defer gate.current.exit(testOrg, l)
	gate.mu.Unlock()
	for t.Context().Err() == nil {
		l.mu.Lock()
		waiting := len(l.waiters)
		l.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

// TestGivingUpWhileQueued fills the flight and cancels all who wait: nothing is left of
// them, and the places are there for the next.
func TestGivingUpWhileQueued(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	releases := g.fillFlight(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waiting sync.WaitGroup
	for i := range 50 {
		waiting.Go(func() {
			reply, release, err := n.gate.Admit(ctx, g.term, syncBody(t, testLimit+i))
			if !errors.Is(err, context.Canceled) || reply != nil || release != nil {
				t.Errorf("got %x, %v", reply, err)
			}
		})
	}
	awaitWaiting(t, n.gate, 50)
	cancel()
	waiting.Wait()
	for _, release := range releases {
		release(nil)
	}
	assertIdle(t, n.gate)
	if got := g.flood(t, n, testLimit+1, 0); got.ok != testLimit || got.refused != 1 {
		t.Errorf("afterwards %d are admitted, %d refused", got.ok, got.refused)
	}
}

// TestCancelsAmidReleases has callers give up while places come free, so that some are
// woken and cancelled at once: all who stay are told, and nothing is left.
func TestCancelsAmidReleases(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	releases := g.fillFlight(t, n)
	impatient, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waiting sync.WaitGroup
	var admitted atomic.Int64
	for i := range 120 {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = impatient
		}
		waiting.Go(func() {
			_, release, err := n.gate.Admit(ctx, g.term, syncBody(t, testLimit+i))
			switch {
			case err == nil:
				admitted.Add(1)
				release(nil)
			case ctx != impatient || !errors.Is(err, context.Canceled):
				t.Error(err)
			}
		})
	}
	awaitWaiting(t, n.gate, 120)
	waiting.Go(func() {
		for _, release := range releases {
			release(nil)
		}
	})
	cancel()
	waiting.Wait()
	if got := admitted.Load(); got < 60 {
		t.Errorf("%d of the 60 patient ones were admitted", got)
	}
	assertIdle(t, n.gate)
}

// TestOrganizationsDoNotWaitForEachOther fills the flight of one and sends for another.
func TestOrganizationsDoNotWaitForEachOther(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	g.propose(t, n, encode(t, &fsm.KeyCreate{
		RequestID: fsm.RequestID{3}, KeyID: "key_b", Org: "org_b", Name: "b", DefaultStore: "vs_b",
	}))
	for _, release := range g.fillFlight(t, n) {
		defer release(nil)
	}
	other := syncBody(t, 1000, func(s *fsm.Sync) { s.Org, s.KeyID, s.Store = "org_b", "key_b", "vs_b" })
	if got := decode(t, g.propose(t, n, other)); got.Outcome != fsm.OK {
		t.Errorf("outcome %d", got.Outcome)
	}
}

// TestANewTermEndsTheWaitOfTheOld: the count of the old term is gone with it, also when
// its releases come late.
func TestANewTermEndsTheWaitOfTheOld(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	releases := g.fillFlight(t, n)
	told := make(chan error, 1)
	old := g.term
	go func() {
		_, _, err := n.gate.Admit(t.Context(), old, syncBody(t, testLimit))
		told <- err
	}()
	awaitWaiting(t, n.gate, 1)
	g.lead(0)
	if err := <-told; !errors.Is(err, ErrTerm) {
		t.Errorf("the one who waited got %v", err)
	}
	if got := g.flood(t, n, testLimit+1, 0); got.ok != testLimit || got.refused != 1 {
		t.Errorf("in the new term %d are admitted, %d refused", got.ok, got.refused)
	}
	for _, release := range releases {
		release(nil)
	}
	assertIdle(t, n.gate)
}
