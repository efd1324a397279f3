package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/fsm"
	"pipesync/storage"
)

// collecting is a state machine with tombstones, and their upkeep.
type collecting struct {
	t        *testing.T
	state    *fsm.FSM
	index    uint64
	now      int64 // cluster time
	leads    bool
	proposed int
	fault    error // of the next proposals
	*upkeep
}

const collectRetention = int64(8e9)

func newCollecting(t *testing.T) *collecting {
	state, err := fsm.Open(fsm.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { panic(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	c := &collecting{t: t, state: state, leads: true, now: 1}
	c.upkeep = &upkeep{due: dueTombstones, Leader: Leader{
		State: state,
		ClusterTime: func() int64 {
			if !c.leads {
				return 0
			}
			return c.now
		},
		Propose: func(_ context.Context, body []byte) error {
			c.proposed++
			if c.fault == nil {
				c.apply(body)
			}
			return c.fault
		},
		Pace: DefaultPace,
		Log:  slog.New(slog.DiscardHandler),
	}}
	c.command(&fsm.Bootstrap{ClusterID: "c", Epoch: storage.Epoch{1}, Settings: storage.Settings{
		Limits: storage.Limits{RequestsPerWindow: 100}, HistorySyncsMax: 100, WindowMillis: 1000, TombstoneRetentionSeconds: uint32(collectRetention / 1e9),
	}})
	c.command(&fsm.KeyCreate{KeyID: "key", Org: "org", DefaultStore: "vs"})
	for _, ns := range []string{"a", "b"} {
		if got := c.sync(5, fsm.Operation{Action: fsm.Delete, Namespace: ns, ID: "gone"}); got != fsm.OK {
			t.Fatalf("outcome %d", got)
		}
	}
	return c
}

func (c *collecting) apply(body []byte) fsm.Outcome {
	c.t.Helper()
	c.index++
	stamp := fsm.EncodeStamp(fsm.Stamp{Term: 1, ClusterTime: c.now, WallTime: 10}, body)
	reply, ok := c.state.Apply(&raft.Log{Index: c.index, Term: 1, Data: body, Extensions: stamp}).([]byte)
	if !ok {
		c.t.Fatal("no reply")
	}
	result, err := fsm.DecodeResult(reply)
	if err != nil {
		c.t.Fatal(err)
	}
	return result.Outcome
}

func (c *collecting) command(cmd fsm.Command) fsm.Outcome {
	c.t.Helper()
	body, err := fsm.Encode(cmd)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.apply(body)
}

func (c *collecting) sync(timestamp int64, op fsm.Operation) fsm.Outcome {
	c.t.Helper()
	return c.command(&fsm.Sync{SyncID: "sync", Org: "org", KeyID: "key", Store: "vs", Mode: fsm.Incremental,
		Timestamp: timestamp, HasTimestamp: true, OnStale: fsm.RejectStale, Operations: []fsm.Operation{op}})
}

// collected says which namespaces have forgotten what was deleted.
func (c *collecting) collected() (names string) {
	c.t.Helper()
	for _, ns := range []string{"a", "b"} {
		switch got := c.sync(4, fsm.Operation{Action: fsm.Upsert, Namespace: ns, ID: "gone"}); got {
		case fsm.SyncTooOld:
			names += ns
		case fsm.StaleSync:
		default:
			c.t.Fatalf("outcome %d", got)
		}
	}
	return names
}

func TestUpkeepCollectsWhatIsDue(t *testing.T) {
	t.Parallel()
	c := newCollecting(t)
	round := func(proposals int, want string) {
		t.Helper()
		before := c.proposed
		if err := c.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.collected(); got != want || c.proposed-before != proposals {
			t.Errorf("collected %q by %d proposals, want %q by %d", got, c.proposed-before, want, proposals)
		}
	}
	c.now += collectRetention
	round(0, "") // not due yet: see fsm.View.Sweeps
	c.now += collectRetention / 8
	c.leads = false
	round(0, "")
	c.leads = true
	round(2, "ab")
	round(0, "ab")
}

// A proposal that fails ends the round; the next one begins again.
func TestUpkeepGivesUpARoundThatFails(t *testing.T) {
	t.Parallel()
	c := newCollecting(t)
	c.now += 2 * collectRetention
	c.fault = errors.New("no leader")
	if err := c.round(t.Context()); !errors.Is(err, c.fault) || c.proposed != 1 {
		t.Errorf("%v after %d proposals", err, c.proposed)
	}
	c.fault = nil
	if err := c.round(t.Context()); err != nil || c.collected() != "ab" {
		t.Errorf("then %v, collected %q", err, c.collected())
	}
}

func TestUpkeepStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := newCollecting(t)
	c.now += 2 * collectRetention
	c.gap = time.Hour
	if err := c.round(ctx); !errors.Is(err, context.Canceled) || c.proposed != 0 {
		t.Errorf("%v after %d proposals", err, c.proposed)
	}
	c.run(ctx)
}

// What a large refresh removed is told to whoever follows the changes.
func TestUpkeepReconciles(t *testing.T) {
	t.Parallel()
	c := newCollecting(t)
	c.due = dueReconciles
	big := &fsm.Sync{SyncID: "sync", Org: "org", KeyID: "key", Store: "vs", Mode: fsm.Incremental}
	for i := range fsm.MaxOperations {
		big.Operations = append(big.Operations, fsm.Operation{Action: fsm.Upsert, Namespace: "a", ID: fmt.Sprint(i)})
	}
	c.command(big)
	c.command(&fsm.Sync{SyncID: "sync", Org: "org", KeyID: "key", Store: "vs", Mode: fsm.FullRefresh,
		Operations: []fsm.Operation{{Action: fsm.Upsert, Namespace: "a", ID: "new"}}})
	refreshed := storage.Seq{Index: c.index}
	for _, want := range []bool{false, true} {
		view, err := c.state.View()
		if err != nil {
			t.Fatal(err)
		}
		page, err := view.Changes("org", "vs", fsm.Cursor{Since: 1, After: refreshed}, 1)
		view.Close()
		if err != nil || page.Reconciling == want || page.CaughtUp {
			t.Fatalf("%+v, %v", page, err)
		}
		if err := c.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if c.proposed != 11 { // 5001 rows, the tombstone of newCollecting among them
		t.Errorf("%d proposals", c.proposed)
	}
}

// hurried is a sweep of so many steps, which propose a mark each or nothing.
type hurried struct {
	steps, haste uint64
	idle         bool
}

func (h *hurried) Done() bool    { return h.steps == 0 }
func (h *hurried) Haste() uint64 { return h.haste }
func (h *hurried) Next(*fsm.View, fsm.RequestID) (fsm.Command, error) {
	h.steps--
	if h.idle {
		return nil, nil
	}
	return &fsm.Mark{}, nil
}

// A sweep that has more to do pauses for less.
func TestUpkeepHurries(t *testing.T) {
	c := newCollecting(t)
	synctest.Test(t, func(t *testing.T) {
		for haste, want := range map[uint64]time.Duration{1: 400 * time.Millisecond, 4: 100 * time.Millisecond} {
			c.gap = 100 * time.Millisecond
			c.due = func(*fsm.View, int64) ([]sweep, error) { return []sweep{&hurried{4, haste, true}}, nil }
			began := time.Now()
			if err := c.round(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("with haste %d: %v, want %v", haste, took, want)
			}
		}
	})
}

// A sweep whose steps don't need each other has several in the log at once, each other one a
// single step, and a round ends with all of them.
func TestUpkeepBoundsStepsInTheLog(t *testing.T) {
	c := newCollecting(t)
	synctest.Test(t, func(t *testing.T) {
		const count = 2 * maxSteps
		steps := &hurried{haste: 100}
		for most, s := range map[int32]sweep{1: struct{ sweep }{steps}, maxSteps: steps} {
			var inLog, seen, all atomic.Int32
			c.Propose = func(context.Context, []byte) error {
				all.Add(1)
				if now := inLog.Add(1); now > seen.Load() {
					seen.Store(now)
				}
				time.Sleep(time.Second)
				inLog.Add(-1)
				return nil
			}
			steps.steps = count
			c.due = func(*fsm.View, int64) ([]sweep, error) { return []sweep{s}, nil }
			if err := c.round(t.Context()); err != nil {
				t.Fatal(err)
			}
			if seen.Load() != most || inLog.Load() != 0 || all.Load() != count {
				t.Errorf("%d steps at once, want %d; %d left of %d", seen.Load(), most, inLog.Load(), all.Load())
			}
		}
	})
}

// One step that fails ends the round, and all that are in the log beside it.
func TestUpkeepGivesUpStepsBesideOneThatFails(t *testing.T) {
	c := newCollecting(t)
	synctest.Test(t, func(t *testing.T) {
		fault := errors.New("no leader")
		var proposed, given atomic.Int32
		c.Propose = func(ctx context.Context, _ []byte) error {
			if proposed.Add(1) == 4 {
				return fault
			}
			<-ctx.Done()
			given.Add(1)
			return ctx.Err()
		}
		c.due = func(*fsm.View, int64) ([]sweep, error) { return []sweep{&hurried{20, 1, false}}, nil }
		if err := c.round(t.Context()); !errors.Is(err, fault) || given.Load() != proposed.Load()-1 {
			t.Errorf("%v, %d of %d given up", err, given.Load(), proposed.Load())
		}
	})
}

// A step that found nothing leaves its room to the next.
func TestUpkeepGoesOnBehindStepsWithoutProposals(t *testing.T) {
	c := newCollecting(t)
	synctest.Test(t, func(t *testing.T) {
		s := &hurried{2 * maxSteps, 1, true}
		c.due = func(*fsm.View, int64) ([]sweep, error) { return []sweep{s}, nil }
		if err := c.round(t.Context()); err != nil || c.proposed != 0 || !s.Done() {
			t.Errorf("%v, %d proposals, %d steps left", err, c.proposed, s.steps)
		}
	})
}
