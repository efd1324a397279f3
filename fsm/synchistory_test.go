package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

// newHistoryRig keeps max syncs for keep seconds, and keys as the rig does.
func newHistoryRig(t *testing.T, max, keep uint32) *rig {
	t.Helper()
	r := newRig(t)
	b := testBootstrap(1000)
	b.Settings.HistorySyncsMax, b.Settings.HistoryRetentionSeconds = max, keep
	r.mustApply(b)
	r.mustApply(&KeyCreate{KeyID: testKey, Org: testOrg, DefaultStore: testStore})
	return r
}

// syncs are the ids in the history, the newest first.
func (r *rig) syncs() string {
	r.t.Helper()
	v := r.view()
	defer v.Close()
	list, err := readSyncs(v, 0, 1000)
	must(r.t, err)
	var ids []string
	for _, s := range list {
		byID, found, err := v.Sync(testOrg, s.SyncID)
		if diff := cmp.Diff(s, byID); !found || err != nil || diff != "" {
			r.t.Errorf("%s by its id: %v, %v, %s", s.SyncID, found, err, diff)
		}
		ids = append(ids, s.SyncID)
	}
	return strings.Join(ids, " ")
}

func (r *rig) push(id string, ops ...Operation) *Result {
	r.t.Helper()
	s := newSync(Incremental, ops...)
	s.SyncID = id
	return r.mustApply(s)
}

func TestHistoryHasTheLastSyncs(t *testing.T) {
	for _, c := range []struct {
		max  uint32
		want string
	}{{1, "s4"}, {3, "s4 s3 s2"}, {9, "s4 s3 s2 s1 s0"}} {
		r := newHistoryRig(t, c.max, 0)
		for i := range 5 {
			r.now += 1 << 50 // kept for ever
			r.push(fmt.Sprint("s", i))
		}
		if got := r.syncs(); got != c.want {
			t.Errorf("at most %d: %s, want %s", c.max, got, c.want)
		}
	}
}

// What is too old goes with later syncs, a few at a time, and leaves nothing.
func TestHistoryIsKeptForItsTime(t *testing.T) {
	r := newHistoryRig(t, 100, 50)
	for i := range 7 {
		r.push(fmt.Sprint("s", i))
	}
	r.now += 50*second - 1
	r.push("a")
	if got := r.syncs(); got != "a s6 s5 s4 s3 s2 s1 s0" {
		t.Errorf("a nanosecond before it is due: %s", got)
	}
	r.now++
	r.push("b")
	if got := r.syncs(); got != "b a s6 s5 s4" {
		t.Errorf("four are due: %s", got)
	}
	r.push("c")
	if got := r.syncs(); got != "c b a" {
		t.Errorf("the rest: %s", got)
	}
	d := dump(t, r.fsm)
	if len(d.History) != 3 || d.HistoryHeads[testOrg].Count != 3 {
		t.Errorf("rows %v, head %+v", d.History, d.HistoryHeads)
	}
	v := r.view()
	defer v.Close()
	for _, id := range []string{"s0", "s6", "none"} {
		if s, found, err := v.Sync(testOrg, id); found || err != nil {
			t.Errorf("%s: %+v, %v", id, s, err)
		}
	}
	if s, found, err := v.Sync("org_b", "c"); found || err != nil {
		t.Errorf("another organization's: %+v, %v", s, err)
	}
}

func TestRefusedSyncsAreNotInTheHistory(t *testing.T) {
	r := newHistoryRig(t, 100, 50)
	first := newSync(Incremental).keyed("k1")
	first.SyncID = "a"
	r.mustApply(first)
	for _, s := range []*Sync{
		newSync(Incremental).at(400), first.again("replay"), newSync(Incremental, remove("n", "a")).keyed("k1"),
	} {
		if got := r.apply(s); got.Outcome == OK {
			t.Fatalf("%+v", got)
		}
	}
	if got := r.syncs(); got != "a" {
		t.Errorf("history %s", got)
	}
}

// A replay is answered from the row of a sync that has left the history. The row
// goes with the key.
func TestKeysOutliveTheHistory(t *testing.T) {
	r := newHistoryRig(t, 2, 0)
	s := newSync(Incremental, upsert("n", "a", "1")).keyed("k1")
	s.SyncID = "a"
	want := r.mustApply(s)
	for i := range 4 {
		r.push(fmt.Sprint("s", i))
	}
	if got := r.syncs(); got != "s3 s2" {
		t.Errorf("history %s", got)
	}
	got := r.apply(s.again("b"))
	want.Outcome, want.Sync.Window = Replayed, got.Sync.Window
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replay (-want +got): %s", diff)
	}
	r.now += idempotencySeconds * second
	r.push("s4")
	if d := dump(t, r.fsm); len(d.History) != 2 || len(d.KeySlots) != 0 {
		t.Errorf("after the key's time: %v, %v", d.History, d.KeySlots)
	}
}

// An expired key that is there still comes back to life when keys are to be kept
// for longer, and has its reply.
func TestRevivedKeysHaveTheirReply(t *testing.T) {
	r := newHistoryRig(t, 1, 0)
	r.mustApply(&SettingsSet{Figures: []FigureValue{{5, 100}}})
	var syncs []*Sync
	for i := range collectedPerSync + 1 {
		s := newSync(Incremental, upsert("n", "a", "1")).keyed(fmt.Sprint("k", i))
		s.SyncID = fmt.Sprint("s", i)
		r.mustApply(s)
		syncs = append(syncs, s)
	}
	r.now += idempotencySeconds * second
	r.push("a")
	r.mustApply(&SettingsSet{Figures: []FigureValue{{4, 10 * idempotencySeconds}}})
	last := syncs[collectedPerSync]
	if got := r.apply(last.again("b")); got.Outcome != Replayed || got.Sync.SyncID != last.SyncID {
		t.Errorf("%+v", got)
	}
	if got := r.syncs(); got != "a" {
		t.Errorf("history %s", got)
	}
}

// Of a sync in many namespaces the history has the first ones, and all of them
// as long as it may be replayed.
func TestHistoryOfManyNamespaces(t *testing.T) {
	r := newHistoryRig(t, 100, 0)
	var ops []Operation
	for i := range maxHistoryNamespaces + 50 {
		ops = append(ops, upsert(fmt.Sprint("n", i), "a", "1"))
	}
	row := func(id string, listed int) {
		t.Helper()
		v := r.view()
		defer v.Close()
		s, found, err := v.Sync(testOrg, id)
		if err != nil || !found || len(s.ByNamespace) != listed || s.Namespaces != maxHistoryNamespaces+50 || int(s.Upserted) != len(ops) {
			t.Errorf("%s: %v, %v, %d of %d namespaces, counts %+v", id, found, err, len(s.ByNamespace), s.Namespaces, s.HistoryCounts)
		}
		want := storage.HistoryNamespace{Name: "n7", HistoryCounts: storage.HistoryCounts{Upserted: 1}}
		if !slices.Contains(s.ByNamespace[:listed], want) {
			t.Errorf("%s: n7 is missing", id)
		}
	}
	r.push("a", ops...)
	row("a", maxHistoryNamespaces)
	s := newSync(Incremental, ops...).keyed("k1")
	s.SyncID = "b"
	r.mustApply(s)
	row("b", maxHistoryNamespaces+50)
	if got := r.apply(s.again("c")); got.Outcome != Replayed || len(got.Sync.ByNamespace) != maxHistoryNamespaces+50 {
		t.Errorf("replay: %+v", got)
	}
	r.now += idempotencySeconds * second
	r.push("d")
	row("b", maxHistoryNamespaces)
}

func TestHistoryInPages(t *testing.T) {
	r := newHistoryRig(t, 100, 0)
	var want []uint64
	for i := range 7 {
		want = append(want, r.push(fmt.Sprint("s", i)).Index)
	}
	slices.Reverse(want)
	v := r.view()
	defer v.Close()
	for _, limit := range []int{1, 2, 7, 100} {
		var got []uint64
		for before := uint64(0); ; before = got[len(got)-1] {
			page, err := readSyncs(v, before, limit)
			must(t, err)
			for _, s := range page {
				got = append(got, s.Index)
			}
			if len(page) == 0 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %v, want %v", limit, got, want)
		}
	}
}
