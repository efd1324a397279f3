package fsm

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pipesync/storage"
)

func changesFrom(t *testing.T, r *rig, from Cursor, limit int) (*ChangePage, error) {
	t.Helper()
	v := r.view()
	defer v.Close()
	return v.Changes(testOrg, testStore, from, limit)
}

// A page is bounded by entries looked at and by bytes, not by changes alone.
func TestChangesPages(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	big := newSync(Incremental)
	for i := range 5 {
		op := upsert("n", idOf(i), "")
		op.Data = make([]byte, maxChangesBytes/3+1)
		big.Operations = append(big.Operations, op)
	}
	r.mustApply(big)
	at := Cursor{}
	for _, want := range []int{3, 2} {
		page, err := changesFrom(t, r, at, 100)
		must(t, err)
		if len(page.Changes) != want || page.CaughtUp != (want == 2) {
			t.Errorf("%d changes, caught up %v, want %d", len(page.Changes), page.CaughtUp, want)
		}
		at = page.Next
	}
	// What holds no longer is passed over, however much of it there is.
	for v := range 3 {
		s := newSync(Incremental)
		for i := range maxChangeRows {
			s.Operations = append(s.Operations, upsert("n", idOf(i), string(rune('a'+v))))
		}
		r.mustApply(s)
	}
	for _, want := range []int{0, 0, 2000, 0} {
		page, err := changesFrom(t, r, at, 5000)
		must(t, err)
		if len(page.Changes) != want {
			t.Errorf("%d changes, want %d", len(page.Changes), want)
		}
		at = page.Next
	}
}

func TestChangesRefusals(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	v := r.view()
	defer v.Close()
	if _, err := v.Changes(testOrg, "vs_missing", Cursor{}, 1); !errors.Is(err, ErrStoreNotFound) {
		t.Errorf("missing store: %v", err)
	}
	for _, at := range []Cursor{{Since: v.Applied() + 1}, {After: storage.Seq{Index: v.Applied() + 1}}} {
		if _, err := v.Changes(testOrg, testStore, at, 1); !errors.Is(err, ErrCursorAhead) {
			t.Errorf("cursor %v: %v", at, err)
		}
	}
}

// Pages may come from nodes that have applied more or less, but none from one that
// has applied less than the one before: what that one no longer showed, since it came
// again later, this one would not show either, since it came before.
func TestChangesGoForward(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	first, err := changesFrom(t, r, Cursor{}, 1)
	must(t, err)
	r.mustApply(newSync(Incremental, remove("n", "a")))
	r.mustApply(newSync(Incremental, upsert("n", "b", "1"), upsert("n", "c", "1")))
	behind := r.view()
	defer behind.Close()
	r.mustApply(newSync(Incremental, upsert("n", "a", "2")))
	second, err := changesFrom(t, r, first.Next, 1)
	must(t, err)
	if _, err := behind.Changes(testOrg, testStore, second.Next, 10); !errors.Is(err, ErrCursorAhead) {
		t.Errorf("a view that is behind: %v", err)
	}
	if page, err := changesFrom(t, r, second.Next, 10); err != nil || !page.CaughtUp {
		t.Errorf("the same view: %+v, %v", page, err)
	}
}

// Whoever has begun before a deletion that is forgotten, and hasn't read it, has
// to begin again; whoever began later misses nothing.
func TestChangesCompacted(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	r.mustApply(late(Incremental, 5, upsert("n", "a", "1"), upsert("n", "b", "1")))
	first, err := changesFrom(t, r, Cursor{}, 1)
	must(t, err)
	r.mustApply(late(Incremental, 6, remove("n", "a")))
	deleted, err := changesFrom(t, r, first.Next, 10)
	must(t, err)
	fresh, err := changesFrom(t, r, Cursor{}, 1)
	must(t, err)
	r.now += 100 * second
	r.mustApply(collectAll())
	if _, err := changesFrom(t, r, first.Next, 10); !errors.Is(err, ErrCursorCompacted) {
		t.Errorf("a cursor before the deletion: %v", err)
	}
	for name, at := range map[string]Cursor{"that has read it": deleted.Next, "that began behind it": fresh.Next, "at the beginning": {}} {
		page, err := changesFrom(t, r, at, 10)
		if err != nil || !page.CaughtUp || page.Horizon.Index != r.fsm.Applied()-2 {
			t.Errorf("a cursor %s: %+v, %v", name, page, err)
		}
	}
}

// The entries that hold no longer are collected once they are many, all of them,
// and nobody who reads sees it. A sweep may go on before its steps are applied.
func TestChangeSweep(t *testing.T) {
	for _, ahead := range []int{1, 3, math.MaxInt} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) { testChangeSweep(t, ahead) })
	}
}

// testChangeSweep applies steps once so many wait for it, and in the end the rest.
func testChangeSweep(t *testing.T, ahead int) {
	r := newRig(t)
	r.setUp(1000)
	due := func() []*ChangeSweep {
		t.Helper()
		v := r.view()
		defer v.Close()
		due, err := v.ChangeSweeps(10)
		must(t, err)
		return due
	}
	for version := range 3 {
		if got := due(); len(got) != 0 {
			t.Errorf("%d sweeps are due before version %d", len(got), version)
		}
		r.mustApply(bigSync(0, version))
	}
	sweeps := due()
	if len(sweeps) != 1 {
		t.Fatalf("%d sweeps are due", len(sweeps))
	}
	if got := sweeps[0].Haste(); got != 1 {
		t.Errorf("haste %d where just enough is due", got)
	}
	commands := 0
	var waiting []Command
	apply := func() {
		for _, c := range waiting {
			r.mustApply(c)
		}
		waiting = nil
	}
	for s := sweeps[0]; !s.Done(); {
		v := r.view()
		c, err := s.Next(v, RequestID{9})
		v.Close()
		must(t, err)
		if c != nil {
			commands++
			waiting = append(waiting, c)
		}
		if len(waiting) >= ahead {
			apply()
		}
	}
	apply()
	v := r.view()
	defer v.Close()
	store, err := v.findStore(testOrg, testStore)
	must(t, err)
	head, err := v.snapshot.ChangeHead(store.Num)
	must(t, err)
	if head.Entries != MaxOperations || commands != 2*MaxOperations/MaxCollectRows {
		t.Errorf("%d rows are left after %d commands", head.Entries, commands)
	}
	if got := due(); len(got) != 0 {
		t.Errorf("%d sweeps are due again", len(got))
	}
}

// A sweep goes through what nobody superseded in few steps. An entry that is alone among
// thousands it finds by chance; where a step has found one, all of its piece are removed, and
// of the last piece all are in any case.
func TestChangeSweepLooksAtSome(t *testing.T) {
	const extra = 10 // entries of the last piece
	for _, tc := range []struct {
		name        string
		stale       []int // entries
		id          byte
		left, steps int
	}{
		{"nothing", nil, 0, 0, 1},
		{"one that the sample has", []int{3*MaxCollectRows + 5}, 5, 0, 2},
		{"one that it hasn't", []int{3*MaxCollectRows + 5}, 6, 1, 1},
		{"one beside one that it has", []int{5, 6}, 6, 0, 2},
		{"two pieces", []int{5, MaxCollectRows + 5}, 5, 0, 3},
		{"one of the last piece", []int{10*MaxCollectRows + 6}, 5, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			r.setUp(1000)
			for from := 0; from < 10*MaxCollectRows; from += MaxOperations {
				r.mustApply(bigSync(from, 0))
			}
			last := bigSync(10*MaxCollectRows, 0)
			last.Operations = last.Operations[:extra]
			r.mustApply(last)
			for _, i := range tc.stale {
				r.mustApply(newSync(Incremental, upsert("articles", idOf(i), "newer")))
			}
			steps := 0
			for s := (&ChangeSweep{store: 1}); !s.Done(); steps++ {
				if c := inView(r, func(v *View) (Command, error) { return s.Next(v, RequestID{tc.id}) }); c != nil {
					r.mustApply(c)
				}
			}
			head := inView(r, func(v *View) (storage.ChangeHead, error) { return v.snapshot.ChangeHead(1) })
			if left := int(head.Entries) - 10*MaxCollectRows - extra; left != tc.left || steps != tc.steps {
				t.Errorf("%d entries are left after %d steps, want %d and %d", left, steps, tc.left, tc.steps)
			}
		})
	}
}
