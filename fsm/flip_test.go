package fsm

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

// smallRig has bounds that two rows are over.
func smallRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), next: 10, wall: testWall, opts: func(o *Options) {
		o.Bounds = Bounds{FlipRows: 1, ReconcileRows: 2, StaleChanges: defaultBounds.StaleChanges, SupersededBytes: defaultBounds.SupersededBytes}
	}}
	r.open()
	t.Cleanup(r.close)
	r.setUp(1000)
	return r
}

// reconcileAll goes through all that is retired, as a leader does.
func reconcileAll(t *testing.T, r *rig) (commands int) {
	t.Helper()
	v := r.view()
	sweeps, err := v.ReconcileSweeps(100)
	v.Close()
	must(t, err)
	return applySweeps(t, r, sweeps)
}

// applySweeps applies the commands of sweeps to their ends, and counts them.
func applySweeps[S interface {
	Done() bool
	Next(*View, RequestID) (Command, error)
}](t *testing.T, r *rig, sweeps []S) (commands int) {
	t.Helper()
	for _, s := range sweeps {
		for !s.Done() {
			v := r.view()
			c, err := s.Next(v, RequestID{9})
			v.Close()
			must(t, err)
			if c != nil {
				commands++
				r.mustApply(c)
			}
		}
	}
	return commands
}

// Only so many generations of a namespace wait for their reconciles; a refresh that
// needs none isn't held up.
func TestRefreshBacklog(t *testing.T) {
	r := smallRig(t)
	refresh := func(list ...Operation) Outcome {
		return r.apply(newSync(FullRefresh, list...)).Outcome
	}
	two := []Operation{upsert("n", "a", "1"), upsert("n", "b", "1")}
	for range maxRetired {
		refresh(two...)
	}
	dry := func() Outcome {
		t.Helper()
		body, err := Encode(newSync(FullRefresh, two...))
		must(t, err)
		v := r.view()
		defer v.Close()
		result, err := v.DryRun(body, r.wall)
		must(t, err)
		return result.Outcome
	}
	for _, list := range [][]Operation{two[:1], two} { // the second goes through one row at once
		if got := dry(); got != OK {
			t.Fatalf("outcome %d of a dry run", got)
		}
		if got := refresh(list...); got != OK {
			t.Fatalf("outcome %d", got)
		}
	}
	if got := dry(); got != ReconcileBacklog {
		t.Errorf("outcome %d of a dry run of one too many", got)
	}
	if got := refresh(two...); got != ReconcileBacklog {
		t.Fatalf("outcome %d of one too many", got)
	}
	if got := refresh(upsert("m", "a", "1")); got != OK {
		t.Errorf("outcome %d of another namespace", got)
	}
	if got := refresh(upsert("m", "b", "1")); got != OK {
		t.Errorf("outcome %d where one row is to be gone through", got)
	}
	if n := reconcileAll(t, r); n != 2*maxRetired {
		t.Errorf("%d reconciles of two rows and then none", n)
	}
	if got := refresh(two...); got != OK {
		t.Errorf("outcome %d after the reconciles", got)
	}
}

// An id that was in a generation between isn't gone with an older one: a reader may
// know it from there. Whichever is reconciled first, the deletion is told once.
func TestReconcileAsksEveryNewerGeneration(t *testing.T) {
	for name, order := range map[string][]storage.Generation{"oldest first": {1, 1, 2, 2}, "newest first": {2, 2, 1, 1}} {
		t.Run(name, func(t *testing.T) {
			r := smallRig(t)
			r.mustApply(newSync(Incremental, remove("n", "a"), upsert("n", "b", "1")))
			r.mustApply(newSync(FullRefresh, upsert("n", "a", "1"), upsert("n", "b", "1")))
			c := &consumer{}
			c.read(t, r, 10)
			r.mustApply(newSync(FullRefresh, upsert("n", "b", "1")))
			for _, gen := range order {
				r.mustApply(&Reconcile{Store: 1, Namespace: "n", Generation: gen})
				c.read(t, r, 10)
			}
			if c.caught == 0 || len(c.records["n"]) != 1 {
				t.Errorf("caught up %d times, with %v", c.caught, c.records)
			}
		})
	}
}

// A deletion is told although its generation was retired before anybody read it,
// before the reconcile and after it; what is gone and has no tombstone yet isn't
// told as if it were there.
func TestChangesOfRetiredGenerations(t *testing.T) {
	r := smallRig(t)
	r.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1")))
	early, err := changesFrom(t, r, Cursor{}, 10)
	must(t, err)
	r.mustApply(newSync(Incremental, remove("n", "a")))
	r.mustApply(newSync(FullRefresh, upsert("n", "c", "1")))
	told := func(from Cursor) (text string) {
		t.Helper()
		page, err := changesFrom(t, r, from, 10)
		must(t, err)
		for _, c := range page.Changes {
			if c.Deleted {
				text += "-"
			}
			text += c.ID + " "
		}
		if page.CaughtUp == page.Reconciling {
			t.Errorf("caught up %v, reconciling %v", page.CaughtUp, page.Reconciling)
		}
		if page.Reconciling {
			text += "…"
		}
		return text
	}
	if got := told(early.Next); got != "-a c …" {
		t.Errorf("before the reconcile: %s", got)
	}
	reconcileAll(t, r)
	if got := told(early.Next); got != "-a c -b " {
		t.Errorf("after the reconcile: %s", got)
	}
	if got := told(Cursor{}); got != "-a c -b " {
		t.Errorf("from the beginning: %s", got)
	}
}

// What a refresh deletes is as old as the refresh, and what it carries over stays
// as old as it was.
func TestTombstonesOfARefresh(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	r.mustApply(late(Incremental, 5, remove("n", "a"), upsert("n", "b", "1")))
	old := fingerprintOf(t, r.fsm, "n", "a")
	r.now += 3 * second
	l := r.entry(late(FullRefresh, 6, upsert("n", "c", "1"), remove("n", "b")))
	r.applyLog(l)
	if got := fingerprintOf(t, r.fsm, "n", "a"); got != old {
		t.Errorf("carried over as %+v, was %+v", got, old)
	}
	want := storage.Fingerprint{
		SyncTimestamp: testWall + 6*second, Changed: storage.Seq{Index: l.Index, Offset: 2}, Tombstone: true, BuriedAt: r.now,
	}
	if got := fingerprintOf(t, r.fsm, "n", "b"); got != want {
		t.Errorf("tombstone %+v, want %+v", got, want)
	}
	if _, row := storeRow(t, r, "n"); row.Tombstones != 2 || row.BuriedSince != old.BuriedAt || row.Count != 1 {
		t.Errorf("row %+v", row)
	}
}

// A store that is deleted takes everything with it; the next one of its name begins
// anew, and commands for the old one find nothing.
func TestStoreDelete(t *testing.T) {
	r := smallRig(t)
	r.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1"), remove("n", "c")))
	r.mustApply(newSync(FullRefresh, upsert("n", "d", "1")))
	read, err := changesFrom(t, r, Cursor{}, 10)
	must(t, err)
	r.mustApply(&StoreDelete{Org: testOrg, Store: testStore})
	if got := r.apply(newSync(Incremental, upsert("n", "a", "1"))).Outcome; got != StoreNotFound {
		t.Errorf("outcome %d of a sync", got)
	}
	for name, c := range map[Outcome]*StoreDelete{StoreNotFound: {Org: testOrg, Store: testStore}, OrgNotFound: {Org: "org_none", Store: testStore}} {
		if got := r.apply(c).Outcome; got != name {
			t.Errorf("outcome %d, want %d", got, name)
		}
	}
	r.mustApply(&StoreCreate{Org: testOrg, Store: testStore})
	before := dump(t, r.fsm)
	r.mustApply(&Reconcile{Store: 1, Namespace: "n", Generation: 1})
	r.mustApply(&ChangeCollect{Store: 1, Until: storage.Seq{Index: 1000}})
	r.mustApply(collectAll())
	after := dump(t, r.fsm)
	after.System = before.System
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("commands for what is gone: %s", diff)
	}
	page, err := changesFrom(t, r, Cursor{}, 10)
	if err != nil || len(page.Changes) > 0 || !page.CaughtUp {
		t.Errorf("changes of the new store: %+v, %v", page, err)
	}
	if _, err := changesFrom(t, r, read.Next, 10); !errors.Is(err, ErrCursorCompacted) {
		t.Errorf("a cursor of the old store: %v", err)
	}
	v := r.view()
	defer v.Close()
	if got, err := v.Usage(); err != nil || got != (storage.Usage{}) {
		t.Errorf("usage %+v, %v", got, err)
	}
}
