package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

// markedRig notes what its state machine says of marks.
type markedRig struct {
	*rig
	marked []Marked
}

func newMarkedRig(t *testing.T) *markedRig {
	t.Helper()
	m := &markedRig{rig: &rig{t: t, dir: t.TempDir(), next: 10, wall: testWall}}
	m.opts = func(o *Options) { o.Marked = func(marked Marked) { m.marked = append(m.marked, marked) } }
	m.open()
	t.Cleanup(m.close)
	m.setUp(100)
	return m
}

// last is the mark that this node noted last.
func (m *markedRig) last() storage.Mark {
	m.t.Helper()
	v := m.view()
	defer v.Close()
	marks, err := v.Marks()
	must(m.t, err)
	return marks.Last[len(marks.Last)-1]
}

// A record is lost on one node, and nothing notices until an entry is decided
// otherwise there. From then on every mark tells.
func TestMarksTellStatesApart(t *testing.T) {
	right, wrong := newMarkedRig(t), newMarkedRig(t)
	both := func(cmd Command) {
		right.mustApply(cmd)
		wrong.mustApply(cmd)
	}
	both(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1")))
	both(&Mark{})
	b := wrong.fsm.current.db.NewBatch()
	b.DeleteFingerprint(1, 1, 1, "a")
	must(t, b.Commit())
	must(t, b.Close())
	both(&Mark{Previous: right.last()})
	if right.last() != wrong.last() || wrong.marked[1].Differs {
		t.Fatalf("marks %+v and %+v: nothing was decided in between", right.last(), wrong.last())
	}
	both(newSync(Incremental, upsert("n", "a", "1")))
	both(&Mark{Previous: right.last()})
	proposed, own := right.last(), wrong.last()
	if proposed.Index != own.Index || proposed.Chain == own.Chain {
		t.Fatalf("marks %+v and %+v", proposed, own)
	}
	both(newSync(Incremental, upsert("n", "c", "1")))
	both(&Mark{Previous: proposed})
	if right.marked[3].Differs {
		t.Errorf("the right one: %+v", right.marked[3])
	}
	want := Marked{Own: wrong.last(), Differs: true, Before: own, Proposed: proposed}
	if diff := cmp.Diff(want, wrong.marked[3]); diff != "" {
		t.Errorf("the wrong one (-want +got): %s", diff)
	}
}

// What a proposer claims leaves no trace, or else the claim of one that is wrong
// would be in every state.
func TestClaimsOfMarksAreNotInTheState(t *testing.T) {
	one, other := newMarkedRig(t), newMarkedRig(t)
	for _, claim := range []uint64{1, 2} {
		r := []*markedRig{one, other}[claim-1]
		r.mustApply(&Mark{})
		r.mustApply(&Mark{Previous: storage.Mark{Index: r.last().Index, Chain: claim}})
		if !r.marked[1].Differs {
			t.Errorf("claim %d wasn't noticed", claim)
		}
		r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	}
	if stateHash(t, one.fsm) != stateHash(t, other.fsm) {
		t.Errorf("states differ: %s", cmp.Diff(dump(t, one.fsm), dump(t, other.fsm)))
	}
}

func TestMarksAreBounded(t *testing.T) {
	r := newMarkedRig(t)
	var want []storage.Mark
	for range storage.MarksMax + 3 {
		r.mustApply(newSync(Incremental))
		chain := r.fsm.system.Chain
		index := r.mustApply(&Mark{}).Index
		want = append(want, storage.Mark{Index: index, Chain: chain})
	}
	v := r.view()
	defer v.Close()
	got, err := v.Marks()
	must(t, err)
	if diff := cmp.Diff(want[3:], got.Last); diff != "" {
		t.Errorf("marks (-want +got): %s", diff)
	}
}

func TestScrubsAreNotedWithTheirTime(t *testing.T) {
	r := newMarkedRig(t)
	r.now += 5 * second
	index := r.mustApply(&Mark{Scrub: true}).Index
	r.now += 5 * second
	r.mustApply(&Mark{})
	v := r.view()
	defer v.Close()
	got, err := v.Marks()
	must(t, err)
	if got.ScrubIndex != index || got.ScrubAt != r.now-5*second {
		t.Errorf("scrub at %d, %d", got.ScrubIndex, got.ScrubAt)
	}
	if !r.marked[0].Scrub || r.marked[1].Scrub {
		t.Errorf("marked %+v", r.marked)
	}
}

// A view that is opened while Marked runs is of the state at the mark.
func TestMarkedComesBetweenTwoEntries(t *testing.T) {
	r := &rig{t: t, dir: t.TempDir(), next: 10, wall: testWall}
	var applied, viewed, own uint64
	r.opts = func(o *Options) {
		o.Marked = func(m Marked) {
			v := r.view()
			defer v.Close()
			applied, viewed, own = r.fsm.Applied(), v.Applied(), m.Own.Index
		}
	}
	r.open()
	defer r.close()
	r.setUp(10)
	want := r.mustApply(&Mark{}).Index
	if applied != want || viewed != want || own != want {
		t.Errorf("applied %d, view of %d, mark %d, want %d", applied, viewed, own, want)
	}
	// Neither a replay nor a mark of a fenced entry is told.
	applied = 0
	l := r.entry(&Mark{})
	l.Term++
	r.fsm.Apply(l)
	if applied != 0 {
		t.Error("a fenced mark was told")
	}
}
