package fsm

import (
	"fmt"
	"math"
	"testing"

	"pipesync/storage"
)

// contentsOf are how many contents there are of all generations, and the row of a namespace.
func contentsOf(r *rig, namespace string) (contents int, row storage.Namespace) {
	r.t.Helper()
	v := r.view()
	defer v.Close()
	visitor := newRowSums().visitor()
	visitor.Any = func(_, _ []byte) error { return nil }
	visitor.Unreadable = func(err error) { r.t.Error(err) }
	visitor.Content = func(storage.StoreNum, storage.NamespaceNum, storage.Generation, uint64) { contents++ }
	must(r.t, v.snapshot.Visit(visitor))
	store, err := v.findStore(testOrg, testStore)
	must(r.t, err)
	row, _, err = v.snapshot.Namespace(store.Num, namespace)
	must(r.t, err)
	return contents, row
}

// tenOf are upserts of ten records.
func tenOf(data string) (ops []Operation) {
	for i := range 10 {
		ops = append(ops, upsert("n", fmt.Sprint("c", i), data))
	}
	return ops
}

// What an update has superseded stays until its change is collected, and is counted; what
// is deleted goes at once, and with its generation all goes.
func TestSupersededContents(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	collect := func() { r.mustApply(&ChangeCollect{Store: 1, Until: storage.Seq{Index: math.MaxUint64}}) }
	sync := func(mode Mode, ops ...Operation) func() {
		return func() { r.mustApply(newSync(mode, ops...)) }
	}
	for _, step := range []struct {
		name              string
		do                func()
		contents          int
		superseded, bytes uint64
	}{
		{"new", sync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1")), 2, 0, 0},
		{"unchanged", sync(Incremental, upsert("n", "a", "1")), 2, 0, 0},
		{"updated", sync(Incremental, upsert("n", "a", "22")), 3, 1, 1},
		{"updated again", sync(Incremental, upsert("n", "a", "333")), 4, 2, 3},
		{"deleted", sync(Incremental, remove("n", "a")), 3, 2, 3},
		{"there again", sync(Incremental, upsert("n", "a", "1")), 4, 2, 3},
		{"collected", collect, 2, 0, 0},
		{"collected again", collect, 2, 0, 0},
		{"updated behind a collection", sync(Incremental, upsert("n", "a", "22")), 3, 1, 1},
		{"refreshed, b unchanged", sync(FullRefresh, upsert("n", "a", "1"), upsert("n", "b", "1")), 2, 0, 0},
		{"b updated, whose content came with a change of an older generation", sync(Incremental, upsert("n", "b", "22")), 3, 1, 1},
		{"that collected", collect, 2, 0, 0},
		{"ten more", sync(Incremental, tenOf("1")...), 12, 0, 0},
		{"ten updated", sync(Incremental, tenOf("4444")...), 22, 10, 10},
		{"a refresh that reconciles later", sync(FullRefresh, upsert("n", "a", "1")), 1, 0, 0},
		{"changes of the retired generation collected", collect, 1, 0, 0},
	} {
		step.do()
		contents, row := contentsOf(r, "n")
		if contents != step.contents || row.Superseded != step.superseded || row.SupersededBytes != step.bytes {
			t.Errorf("%s: %d contents, %d superseded of %d bytes; want %d, %d, %d",
				step.name, contents, row.Superseded, row.SupersededBytes, step.contents, step.superseded, step.bytes)
		}
		if s := scrubOf(t, r.fsm); len(s.Problems) > 0 {
			t.Errorf("%s: %q", step.name, s.Problems)
		}
	}
}

// Changes are due by the bytes that came with them, too: once these are as many as those
// of the live records, and more than a bound.
func TestChangeSweepIsDueByBytes(t *testing.T) {
	r := &rig{t: t, dir: t.TempDir(), next: 10, wall: testWall}
	r.opts = func(o *Options) {
		o.Bounds = Bounds{FlipRows: 1, ReconcileRows: 2, StaleChanges: 1000, SupersededBytes: 40}
	}
	r.open()
	t.Cleanup(r.close)
	r.setUp(1000)
	due := func(when string, want int) {
		t.Helper()
		sweeps := inView(r, func(v *View) ([]*ChangeSweep, error) { return v.ChangeSweeps(10) })
		if len(sweeps) != want {
			t.Errorf("%s: %d sweeps are due, want %d", when, len(sweeps), want)
		}
	}
	due("without a record", 0)
	r.mustApply(newSync(Incremental, tenOf("1234")...)) // 60 bytes with their ids
	due("nothing superseded", 0)
	r.mustApply(newSync(Incremental, tenOf("5678")...))
	due("40 bytes superseded", 0)
	r.mustApply(newSync(Incremental, tenOf("1234")...))
	due("80 bytes superseded", 1)
	haste := func(want uint64) {
		t.Helper()
		sweeps := inView(r, func(v *View) ([]*ChangeSweep, error) { return v.ChangeSweeps(10) })
		if got := sweeps[0].Haste(); got != want {
			t.Errorf("haste %d, want %d", got, want)
		}
	}
	haste(1)
	for range 4 {
		r.mustApply(newSync(Incremental, tenOf("5678")...))
		r.mustApply(newSync(Incremental, tenOf("1234")...))
	}
	haste(36) // 400 bytes beside 60
	// A sweep that has begun takes note of what comes meanwhile.
	sweep := &ChangeSweep{store: 1, haste: 1}
	for range hasteSteps - 1 {
		inView(r, func(v *View) (Command, error) { return sweep.Next(v, RequestID{}) })
	}
	if got := sweep.Haste(); got != 1 {
		t.Errorf("haste %d before another look, want 1", got)
	}
	inView(r, func(v *View) (Command, error) { return sweep.Next(v, RequestID{}) })
	if got := sweep.Haste(); got != 36 {
		t.Errorf("haste %d after it, want 36", got)
	}
	r.mustApply(&ChangeCollect{Store: 1, Until: storage.Seq{Index: math.MaxUint64}})
	due("collected", 0)
	r.mustApply(newSync(FullRefresh, upsert("n", "c0", "1")))
	r.mustApply(newSync(Incremental, upsert("n", "c0", "a text of thirty-nine bytes, or so it i")))
	r.mustApply(newSync(Incremental, upsert("n", "c0", "1")))
	due("39 and 1 bytes superseded, but a generation is retired", 0)
	for _, s := range inView(r, func(v *View) ([]*ReconcileSweep, error) { return v.ReconcileSweeps(1) }) {
		for !s.Done() {
			if c := inView(r, func(v *View) (Command, error) { return s.Next(v, RequestID{}) }); c != nil {
				r.mustApply(c)
			}
		}
	}
	due("reconciled", 1)
}
