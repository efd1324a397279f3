package fsm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

// orderStep is one sync or one collection, and what is to come of it.
type orderStep struct {
	name    string
	cmd     Command
	outcome Outcome
	skipped uint32
	// live records afterwards: ns/id=data@step of the last change.
	live string
}

func late(mode Mode, seconds int64, list ...Operation) *Sync {
	return newSync(mode, list...).at(seconds)
}

// collectAll collects whatever is due in the first generation of namespace n.
func collectAll() *Collect {
	return &Collect{Store: 1, Namespace: "n", Generation: 1, Until: "\xff", Before: 1 << 60}
}

// Each step is 20 s of cluster time after the one before, longer than tombstones
// are kept; wall time stands still.
func TestOrder(t *testing.T) {
	cases := map[string][]orderStep{
		"the newer timestamp wins, whichever comes first": {
			{"first", late(Incremental, 20, upsert("n", "a", "1")), OK, 0, "n/a=1@0"},
			{"older", late(Incremental, 19, upsert("n", "a", "2"), upsert("n", "b", "2")), OK, 1, "n/a=1@0 n/b=2@1"},
			{"newer", late(Incremental, 21, upsert("n", "a", "3"), upsert("n", "b", "3")), OK, 0, "n/a=3@2 n/b=3@2"},
			{"equal: the later entry", late(Incremental, 21, upsert("n", "a", "4"), remove("n", "b")), OK, 0, "n/a=4@3"},
			{"an older delete", late(Incremental, 20, remove("n", "a")), OK, 1, "n/a=4@3"},
		},
		"a tombstone is as good as a record": {
			{"of an absent id", late(Incremental, 20, remove("n", "a")), OK, 0, ""},
			{"older", late(Incremental, 19, upsert("n", "a", "1")), OK, 1, ""},
			{"older delete", late(Incremental, 19, remove("n", "a")), OK, 1, ""},
			{"equal", late(Incremental, 20, upsert("n", "a", "2")), OK, 0, "n/a=2@3"},
			{"deleted again, later", late(Incremental, 30, remove("n", "a")), OK, 0, ""},
			{"still later, unchanged", late(Incremental, 40, remove("n", "a")), OK, 0, ""},
			{"between the two", late(Incremental, 35, upsert("n", "a", "3")), OK, 1, ""},
		},
		"an unchanged upsert renews the timestamp": {
			{"A", late(Incremental, 10, upsert("n", "a", "A")), OK, 0, "n/a=A@0"},
			{"A again", late(Incremental, 20, upsert("n", "a", "A")), OK, 0, "n/a=A@0"},
			{"a late B", late(Incremental, 15, upsert("n", "a", "B")), OK, 1, "n/a=A@0"},
			{"an old A", late(Incremental, 15, upsert("n", "a", "A")), OK, 1, "n/a=A@0"},
			{"B", late(Incremental, 20, upsert("n", "a", "B")), OK, 0, "n/a=B@4"},
		},
		"every operation on a stale id is skipped": {
			{"a, then not", late(Incremental, 20, upsert("n", "a", "1")), OK, 0, "n/a=1@0"},
			{"three on one id", late(Incremental, 19, remove("n", "a"), upsert("n", "b", "1"), upsert("n", "a", "2"), upsert("m", "a", "1"), remove("n", "a")),
				OK, 3, "m/a=1@1 n/a=1@0 n/b=1@1"},
		},
		"reject": {
			{"something", late(Incremental, 20, upsert("n", "a", "1"), remove("n", "b")), OK, 0, "n/a=1@0"},
			{"one stale", late(Incremental, 19, upsert("n", "c", "1"), upsert("m", "c", "1"), upsert("n", "a", "2")).rejecting(), StaleSync, 0, "n/a=1@0"},
			{"a stale tombstone", late(Incremental, 19, upsert("n", "b", "2")).rejecting(), StaleSync, 0, "n/a=1@0"},
			{"none stale", late(Incremental, 19, upsert("n", "c", "1")).rejecting(), OK, 0, "n/a=1@0 n/c=1@3"},
			{"without a timestamp", newSync(Incremental, upsert("n", "a", "3")).rejecting(), OK, 0, "n/a=3@4 n/c=1@3"},
		},
		"a refresh is a floor, whether or not there is a row": {
			{"refresh", late(FullRefresh, 20, upsert("n", "a", "1")), OK, 0, "n/a=1@0"},
			{"older", late(Incremental, 19, upsert("n", "a", "2"), upsert("n", "new", "2"), remove("n", "gone"), upsert("m", "a", "2")), OK, 3, "m/a=2@1 n/a=1@0"},
			{"older, rejecting", late(Incremental, 19, upsert("n", "new", "2")).rejecting(), StaleSync, 0, "m/a=2@1 n/a=1@0"},
			{"equal", late(Incremental, 20, upsert("n", "new", "2")), OK, 0, "m/a=2@1 n/a=1@0 n/new=2@3"},
		},
		"a refresh is never older than what it replaces": {
			{"two namespaces", late(Incremental, 20, upsert("n", "a", "1"), remove("m", "b")), OK, 0, "n/a=1@0"},
			{"older than one", late(FullRefresh, 19, upsert("new", "a", "1"), upsert("m", "a", "1")), StaleRefresh, 0, "n/a=1@0"},
			{"equal", late(FullRefresh, 20, upsert("m", "a", "1")), OK, 0, "m/a=1@2 n/a=1@0"},
			{"without a timestamp", newSync(FullRefresh, upsert("n", "a", "2")), OK, 0, "m/a=1@2 n/a=2@3"},
		},
		"a refresh has no pages": {
			{"page 1", late(FullRefresh, 20, upsert("n", "a", "1"), upsert("n", "b", "1"), remove("n", "c")), OK, 0, "n/a=1@0 n/b=1@0"},
			{"page 2", late(FullRefresh, 20, upsert("n", "c", "1")), RefreshTimestampReused, 0, "n/a=1@0 n/b=1@0"},
			{"a changed record", late(FullRefresh, 20, upsert("n", "a", "1"), upsert("n", "b", "2")), RefreshTimestampReused, 0, "n/a=1@0 n/b=1@0"},
			{"sent again, in another order", late(FullRefresh, 20, upsert("n", "b", "1"), upsert("n", "a", "1")), OK, 0, "n/a=1@0 n/b=1@0"},
			{"another namespace", late(FullRefresh, 20, upsert("m", "a", "1")), OK, 0, "m/a=1@4 n/a=1@0 n/b=1@0"},
			{"both, of which one differs", late(FullRefresh, 20, upsert("m", "a", "1"), upsert("n", "a", "1")), RefreshTimestampReused, 0, "m/a=1@4 n/a=1@0 n/b=1@0"},
			{"emptied at a time of its own", late(FullRefresh, 21, remove("n", "a")), OK, 0, "m/a=1@4"},
			{"a page after that", late(FullRefresh, 21, upsert("n", "a", "1")), RefreshTimestampReused, 0, "m/a=1@4"},
			{"none at all", newSync(FullRefresh, upsert("n", "a", "2")), OK, 0, "m/a=1@4 n/a=2@8"},
			{"a time that was given", late(FullRefresh, 21, upsert("n", "a", "3")), OK, 0, "m/a=1@4 n/a=3@9"},
		},
		"what was collected can't be told from what never was": {
			{"deletes", late(Incremental, 20, remove("n", "c"), upsert("n", "b", "1")), OK, 0, "n/b=1@0"},
			{"a delete that is newer", late(Incremental, 25, remove("n", "a")), OK, 0, "n/b=1@0"},
			{"not collected yet", late(Incremental, 19, upsert("n", "a", "1")), OK, 1, "n/b=1@0"},
			{"collect", collectAll(), OK, 0, "n/b=1@0"},
			{"at the horizon", late(Incremental, 25, upsert("n", "a", "1"), upsert("m", "a", "1")), SyncTooOld, 0, "n/b=1@0"},
			{"deletes too", late(Incremental, 1, remove("n", "x")), SyncTooOld, 0, "n/b=1@0"},
			{"of what is there", late(Incremental, 21, upsert("n", "b", "2")), OK, 0, "n/b=2@6"},
			{"stale comes first", late(Incremental, 20, upsert("n", "a", "1"), upsert("n", "b", "3")).rejecting(), StaleSync, 0, "n/b=2@6"},
			{"without a timestamp", newSync(Incremental, upsert("n", "a", "1")), OK, 0, "n/a=1@8 n/b=2@6"},
			{"beyond the horizon", late(Incremental, 26, upsert("n", "a", "2")), OK, 0, "n/a=2@9 n/b=2@6"},
			{"a first load of another namespace", late(Incremental, 1, upsert("m", "a", "1")), OK, 0, "m/a=1@10 n/a=2@9 n/b=2@6"},
			{"a refresh", late(FullRefresh, 26, upsert("n", "b", "3")), OK, 0, "m/a=1@10 n/b=3@11"},
			{"below its floor", late(Incremental, 25, upsert("n", "x", "1")), OK, 1, "m/a=1@10 n/b=3@11"},
		},
		"stale comes before too old, whatever the order of namespaces": {
			{"deletes", late(Incremental, 20, remove("n", "a"), upsert("n", "b", "1")), OK, 0, "n/b=1@0"},
			{"collect", collectAll(), OK, 0, "n/b=1@0"},
			{"newer", late(Incremental, 30, upsert("m", "a", "1")), OK, 0, "m/a=1@2 n/b=1@0"},
			{"both", late(Incremental, 20, upsert("n", "a", "1"), upsert("m", "a", "2")).rejecting(), StaleSync, 0, "m/a=1@2 n/b=1@0"},
			{"both, skipping", late(Incremental, 20, upsert("m", "a", "2"), upsert("n", "a", "1")), SyncTooOld, 0, "m/a=1@2 n/b=1@0"},
		},
		"a namespace of which nothing is left": {
			{"deletes", late(Incremental, 20, remove("n", "a")), OK, 0, ""},
			{"collect", collectAll(), OK, 0, ""},
			{"too old", late(Incremental, 20, upsert("n", "b", "1")), SyncTooOld, 0, ""},
		},
		"the future": {
			{"five minutes", late(Incremental, 300, upsert("n", "a", "1")), OK, 0, "n/a=1@0"},
			{"a second more", late(Incremental, 301, upsert("n", "a", "2")), TimestampInFuture, 0, "n/a=1@0"},
			{"of a refresh", late(FullRefresh, 301, upsert("n", "a", "2")), TimestampInFuture, 0, "n/a=1@0"},
			{"none: newer than all that is there", newSync(Incremental, upsert("n", "a", "3"), upsert("m", "a", "3")), OK, 0, "m/a=3@3 n/a=3@3"},
			{"which all of it is", late(Incremental, 299, upsert("m", "a", "4")), OK, 1, "m/a=3@3 n/a=3@3"},
		},
	}
	for name, steps := range cases {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { runOrderSteps(t, steps) })
	}
}

func runOrderSteps(t *testing.T, steps []orderStep) {
	r := newRig(t)
	r.setUp(1000)
	stepOf := map[uint64]int{}
	for i, step := range steps {
		r.now += 20 * second
		stepOf[r.next] = i
		before := dump(t, r.fsm)
		got := r.apply(step.cmd)
		if got.Outcome != step.outcome {
			t.Errorf("%s: outcome %d, want %d", step.name, got.Outcome, step.outcome)
		}
		if s, ok := step.cmd.(*Sync); ok {
			checkCounts(t, step, s, got.Sync)
		}
		after := dump(t, r.fsm)
		if step.outcome != OK {
			after.seemsAt(before)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("%s: a refusal wrote %s", step.name, diff)
			}
		}
		v := r.view()
		if live := describeLive(t, v, stepOf); live != step.live {
			t.Errorf("%s: live %s, want %s", step.name, live, step.live)
		}
		v.Close()
	}
}

func checkCounts(t *testing.T, step orderStep, s *Sync, got *SyncResult) {
	t.Helper()
	var by, none Counts
	for _, ns := range got.ByNamespace {
		by.Upserted += ns.Upserted
		by.Deleted += ns.Deleted
		by.Skipped += ns.Skipped
	}
	c := got.Counts
	switch {
	case c != by:
		t.Errorf("%s: counts %+v, by namespace %+v", step.name, c, by)
	case step.outcome != OK && (c != none || got.Details != Details{}):
		t.Errorf("%s: a refusal counts %+v, %+v", step.name, c, got.Details)
	case step.outcome == OK && (c.Skipped != step.skipped || int(c.Upserted+c.Deleted+c.Skipped) != len(s.Operations)):
		t.Errorf("%s: counts %+v of %d operations, want %d skipped", step.name, c, len(s.Operations), step.skipped)
	}
}

// An unchanged operation at the same timestamp writes no row of its record.
func TestEqualAndUnchangedWritesNothing(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	first := late(Incremental, 5, upsert("n", "a", "1"), remove("n", "b"))
	r.mustApply(first)
	before := dump(t, r.fsm)
	r.now += second
	r.mustApply(first)
	after := dump(t, r.fsm)
	if diff := cmp.Diff(before.Fingerprints, after.Fingerprints); diff != "" {
		t.Error(diff)
	}
}

func TestFutureAtTheEndsOfTime(t *testing.T) {
	const minimum, maximum = -1 << 63, 1<<63 - 1
	for _, c := range []struct {
		ts, wall int64
		future   bool
	}{
		{maximum, minimum, true}, {maximum, maximum, false}, {maximum, maximum - maxAheadNanos, false},
		{maximum, maximum - maxAheadNanos - 1, true}, {0, minimum, true}, {0, maximum, false}, {maxAheadNanos, 0, false},
	} {
		h := Header{Timestamp: c.ts, HasTimestamp: true}
		if isFuture(&h, c.wall) != c.future {
			t.Errorf("%d at %d: future is %v", c.ts, c.wall, !c.future)
		}
	}
}

// Tombstones are kept for the retention from when they were last written.
func TestCollectKeepsTheRetention(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(late(Incremental, 5, remove("n", "a"), remove("n", "b"), remove("n", "c")))
	r.now += 10 * second
	r.mustApply(late(Incremental, 6, remove("n", "b")))
	has := func(want string) {
		t.Helper()
		var got []string
		for key := range dump(t, r.fsm).Fingerprints {
			got = append(got, key[len(key)-1:])
		}
		if len(got) != len(want) || strings.Trim(strings.Join(got, ""), want) != "" {
			t.Errorf("left %v, want %s", got, want)
		}
	}
	r.now = retentionSeconds*second - 1
	r.mustApply(collectAll())
	has("abc")
	r.now++
	r.mustApply(&Collect{Store: 1, Namespace: "n", Generation: 1, Before: 1 << 60, After: "a", Until: "b"})
	has("abc") // out of range, or too young
	r.mustApply(&Collect{Store: 1, Namespace: "n", Generation: 2, Before: 1 << 60, Until: "z"})
	has("abc") // another generation
	r.mustApply(&Collect{Store: 1, Namespace: "n", Generation: 1, Before: 0, Until: "a"})
	has("bc") // buried at 0
	r.mustApply(collectAll())
	has("b")
	if row := dump(t, r.fsm).Namespaces["vs_a/n"]; row.Tombstones != 1 || row.Horizon != testWall+5*second {
		t.Errorf("%+v", row)
	}
}

func TestWithoutARetentionNothingIsCollected(t *testing.T) {
	r := newRig(t)
	b := testBootstrap(10)
	b.Settings.TombstoneRetentionSeconds = 0
	r.mustApply(b)
	r.mustApply(&KeyCreate{KeyID: testKey, Org: testOrg, DefaultStore: testStore})
	r.mustApply(late(Incremental, 5, remove("n", "a")))
	r.now += 1 << 55
	if due := sweeps(t, r, 10); len(due) != 0 {
		t.Errorf("%d sweeps are due", len(due))
	}
	before := dump(t, r.fsm).Fingerprints
	r.mustApply(collectAll())
	if diff := cmp.Diff(before, dump(t, r.fsm).Fingerprints); diff != "" {
		t.Error(diff)
	}
}

func sweeps(t *testing.T, r *rig, limit int) []*Sweep {
	t.Helper()
	v := r.view()
	defer v.Close()
	due, err := v.Sweeps(r.now, limit)
	must(t, err)
	return due
}

// sweep runs s to its end and returns its commands, applied.
func sweep(t *testing.T, r *rig, s *Sweep) (commands []*Collect) {
	t.Helper()
	for !s.Done() {
		v := r.view()
		c, err := s.Next(v, RequestID{})
		v.Close()
		must(t, err)
		if c != nil {
			commands = append(commands, c.(*Collect))
			r.mustApply(c)
		}
	}
	return commands
}

func storeRow(t *testing.T, r *rig, ns string) (storage.StoreNum, storage.Namespace) {
	t.Helper()
	v := r.view()
	defer v.Close()
	s, row, err := v.findNamespace(testOrg, testStore, ns)
	must(t, err)
	return s.Num, row
}

func TestSweepsAreBoundedAndOnlyWhenDue(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	// 4500 tombstones, of which every hundredth is young, among 1500 records.
	var old, young, records []Operation
	for i := range 6000 {
		switch {
		case i%4 == 0:
			records = append(records, upsert("n", idOf(i), "1"))
		case i%100 == 1:
			young = append(young, remove("n", idOf(i)))
		default:
			old = append(old, remove("n", idOf(i)))
		}
	}
	r.mustApply(late(Incremental, 5, old...))
	r.mustApply(late(Incremental, 5, records...))
	r.now = 10 * second
	r.mustApply(late(Incremental, 6, append(young, remove("m", "a"))...))
	const due = (retentionSeconds + retentionSeconds/8) * second
	r.now = due - 1
	if got := sweeps(t, r, 10); len(got) != 0 {
		t.Errorf("%d sweeps before any is due", len(got))
	}
	r.now = due
	got := sweeps(t, r, 10)
	if len(got) != 1 {
		t.Fatalf("%d sweeps", len(got))
	}
	commands := sweep(t, r, got[0])
	if len(commands) < 3 || len(commands) > 4 {
		t.Errorf("%d commands", len(commands))
	}
	_, row := storeRow(t, r, "n")
	if row.Tombstones != uint64(len(young)) || row.BuriedSince != 10*second || row.Horizon != testWall+5*second {
		t.Errorf("after the sweep: %+v", row)
	}
	if got := sweeps(t, r, 10); len(got) != 0 {
		t.Errorf("%d sweeps right after one", len(got))
	}
	r.now = 10*second + due
	if got := sweeps(t, r, 1); len(got) != 1 {
		t.Errorf("%d sweeps, limit 1", len(got))
	}
	for _, s := range sweeps(t, r, 10) {
		sweep(t, r, s)
	}
	if _, row := storeRow(t, r, "n"); row.Tombstones != 0 || row.Count != uint64(len(records)) {
		t.Errorf("in the end: %+v", row)
	}
}

// One command looks at no more rows than it may, whatever its range; and then it
// doesn't vouch for the rest.
func TestCollectIsBounded(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	var list []Operation
	for i := range MaxCollectRows + 10 {
		list = append(list, remove("n", idOf(i)))
	}
	r.mustApply(late(Incremental, 5, list...))
	r.now = 100 * second
	c := collectAll()
	c.Oldest = 90 * second
	r.mustApply(c)
	if _, row := storeRow(t, r, "n"); row.Tombstones != 10 || row.BuriedSince != 0 {
		t.Errorf("%+v", row)
	}
	r.mustApply(c)
	if _, row := storeRow(t, r, "n"); row.Tombstones != 0 || row.BuriedSince != 90*second {
		t.Errorf("%+v", row)
	}
}

// A sweep that is overtaken by a refresh ends, and changes nothing.
func TestSweepEndsWithItsGeneration(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	r.mustApply(late(Incremental, 5, remove("n", "a")))
	r.now = 100 * second
	s := sweeps(t, r, 1)[0]
	v := r.view()
	c, err := s.Next(v, RequestID{})
	v.Close()
	must(t, err)
	r.mustApply(late(FullRefresh, 6, upsert("n", "b", "1")))
	before := dump(t, r.fsm)
	r.mustApply(c)
	after := dump(t, r.fsm)
	after.seemsAt(before)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
	s.done = false
	if got := sweep(t, r, s); got != nil {
		t.Errorf("commands of a sweep whose generation is gone: %v", got)
	}
}
