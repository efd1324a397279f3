package fsm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

func TestCommands(t *testing.T) {
	steps := []struct {
		name    string
		cmd     Command
		outcome Outcome
		created bool
	}{
		{"sync before bootstrap", newSync(Incremental, upsert("n", "a", "1")), NotBootstrapped, false},
		{"key before bootstrap", &KeyCreate{KeyID: "k", Org: "org_a"}, NotBootstrapped, false},
		{"revoke before bootstrap", &KeyRevoke{KeyID: "k"}, NotBootstrapped, false},
		{"store before bootstrap", &StoreCreate{Org: "org_a", Store: "vs_a"}, NotBootstrapped, false},
		{"bootstrap", testBootstrap(3), OK, true},
		{"bootstrap again", &Bootstrap{ClusterID: "other", Epoch: storage.Epoch{1}, Settings: testBootstrap(9).Settings}, OK, false},
		{"key with store", &KeyCreate{KeyID: "key_a", Org: "org_a", Name: "first", DefaultStore: "vs_a"}, OK, true},
		{"key again", &KeyCreate{KeyID: "key_a", Org: "org_z", DefaultStore: "vs_z"}, OK, false},
		{"key without store", &KeyCreate{KeyID: "key_b", Org: "org_b"}, OK, true},
		{"key of a known organization and store", &KeyCreate{KeyID: "key_c", Org: "org_a", DefaultStore: "vs_a"}, OK, true},
		{"store", &StoreCreate{Org: "org_b", Store: "vs_b"}, OK, true},
		{"store again", &StoreCreate{Org: "org_b", Store: "vs_b"}, OK, false},
		{"store of the same name elsewhere", &StoreCreate{Org: "org_c", Store: "vs_b"}, OK, true},
		{"revoke", &KeyRevoke{KeyID: "key_c"}, OK, false},
		{"revoke again", &KeyRevoke{KeyID: "key_c"}, OK, false},
		{"revoke unknown", &KeyRevoke{KeyID: "key_x"}, KeyNotFound, false},
	}
	r := newRig(t)
	for _, s := range steps {
		index := r.next
		got := r.apply(s.cmd)
		if got.Outcome != s.outcome || got.Created != s.created || got.Index != index {
			t.Errorf("%s: outcome %d, created %v, index %d", s.name, got.Outcome, got.Created, got.Index)
		}
		if r.fsm.Applied() != index {
			t.Errorf("%s: applied %d, want %d", s.name, r.fsm.Applied(), index)
		}
		r.wall += second
	}
	v := r.view()
	defer v.Close()
	checkCommandRows(t, v)
}

func checkCommandRows(t *testing.T, v *View) {
	t.Helper()
	want := storage.System{
		ClusterID: "cluster-1", Epoch: storage.Epoch{9, 8, 7}, AppliedIndex: 40, AppliedTerm: testTerm, ClusterVersion: 1,
		NextOrg: 4, NextStore: 4, NextNamespace: 1, Chain: v.System().Chain,
	}
	if diff := cmp.Diff(want, v.System()); diff != "" {
		t.Error("system: ", diff)
	}
	set, _, _ := v.Settings()
	if diff := cmp.Diff(testBootstrap(3).Settings, set); diff != "" {
		t.Error("settings: ", diff)
	}
	orgs, _ := v.Orgs("", 10)
	if diff := cmp.Diff([]OrgInfo{
		{Name: "org_a", Org: storage.Org{Num: 1, CreatedAt: testWall + 6*second}},
		{Name: "org_b", Org: storage.Org{Num: 2, CreatedAt: testWall + 8*second}},
		{Name: "org_c", Org: storage.Org{Num: 3, CreatedAt: testWall + 12*second}},
	}, orgs); diff != "" {
		t.Error("organizations: ", diff)
	}
	keys, _ := v.Keys("", 10)
	if diff := cmp.Diff([]KeyInfo{
		{ID: "key_a", Key: storage.Key{Org: "org_a", Name: "first", DefaultStore: "vs_a", CreatedAt: testWall + 6*second}},
		{ID: "key_b", Key: storage.Key{Org: "org_b", CreatedAt: testWall + 8*second}},
		{ID: "key_c", Key: storage.Key{Org: "org_a", DefaultStore: "vs_a", CreatedAt: testWall + 9*second, RevokedAt: testWall + 13*second}},
	}, keys); diff != "" {
		t.Error("keys: ", diff)
	}
	for org, want := range map[string][]StoreInfo{
		"org_a": {{Name: "vs_a", Store: storage.Store{Num: 1, CreatedAt: testWall + 6*second}}},
		"org_b": {{Name: "vs_b", Store: storage.Store{Num: 2, CreatedAt: testWall + 10*second}}},
		"org_c": {{Name: "vs_b", Store: storage.Store{Num: 3, CreatedAt: testWall + 12*second}}},
		"org_z": nil,
	} {
		got, err := v.Stores(org, "", 10)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(org, diff, err)
		}
	}
}

func TestRevokedStaysRevokedAtWallTimeZero(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.wall = 0
	r.mustApply(&KeyRevoke{KeyID: testKey})
	if got := r.apply(newSync(Incremental)); got.Outcome != KeyRevoked {
		t.Errorf("outcome %d", got.Outcome)
	}
}

// Each refusal beats those that come later in the order of checks, writes the
// system row alone, and is what CheckSync says before the log.
func TestSyncRefusals(t *testing.T) {
	r := newRig(t)
	r.mustApply(testBootstrap(1))
	r.mustApply(&KeyCreate{KeyID: "key_a", Org: "org_a", DefaultStore: "vs_a"})
	r.mustApply(&KeyCreate{KeyID: "key_gone", Org: "org_a"})
	r.mustApply(&KeyRevoke{KeyID: "key_gone"})
	r.mustApply(&KeyCreate{KeyID: "key_b", Org: "org_b", DefaultStore: "vs_b", Scope: Scope{Actions: MayRead}})
	r.mustApply(&KeyCreate{KeyID: "key_short", Org: "org_b", LifetimeSeconds: 1})
	r.mustApply(&KeyCreate{KeyID: "key_gone_short", Org: "org_a", LifetimeSeconds: 1})
	r.mustApply(&KeyRevoke{KeyID: "key_gone_short"})
	r.mustApply(&KeyCreate{KeyID: "key_reader", Org: "org_a", Scope: Scope{Actions: MayRead}})
	r.mustApply(&KeyCreate{KeyID: "key_stores", Org: "org_a", Scope: Scope{Stores: []string{"vs_a"}}})
	r.mustApply(&KeyCreate{KeyID: "key_spaces", Org: "org_a", Scope: Scope{Namespaces: []string{"m*"}}})
	r.wall += second
	r.mustApply(newSync(Incremental)) // fills the window of org_a
	cases := []struct {
		name, key, org, store string
		want                  Outcome
		window                Window
	}{
		{"all is wrong", "key_x", "org_b", "vs_x", KeyNotFound, Window{}},
		{"revoked, and of another organization", "key_gone", "org_b", "vs_x", KeyRevoked, Window{}},
		{"revoked and expired", "key_gone_short", "org_a", "vs_a", KeyRevoked, Window{}},
		{"expired, and of another organization", "key_short", "org_a", "vs_x", KeyExpired, Window{}},
		{"no action for it, no store", "key_reader", "org_a", "vs_x", KeyScopeDenied, Window{}},
		{"not one of the key's stores, and missing", "key_stores", "org_a", "vs_x", KeyScopeDenied, Window{}},
		{"no pattern, and a full window", "key_spaces", "org_a", "vs_a", KeyScopeDenied, Window{}},
		{"another organization's key, no store, and out of its scope", "key_b", "org_a", "vs_x", OrgMismatch, Window{}},
		{"no store, and a full window", "key_a", "org_a", "vs_x", StoreNotFound, Window{1, 0, 60_000, 60_000}},
		{"another organization's store", "key_a", "org_a", "vs_b", StoreNotFound, Window{1, 0, 60_000, 60_000}},
		{"full window", "key_a", "org_a", "vs_a", RateLimited, Window{1, 0, 60_000, 60_000}},
	}
	for _, c := range cases {
		s := newSync(Incremental, upsert("n", "a", "1")).at(1000) // and in the future
		s.KeyID, s.Org, s.Store = c.key, c.org, c.store
		before, index := dump(t, r.fsm), r.next
		early := r.checkEarly(s, Stamp{ClusterTime: r.now, WallTime: r.wall})
		got := r.apply(s)
		want := &Result{Outcome: c.want, Index: index, Sync: &SyncResult{SyncID: "sync_1", Window: c.window}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		want.Index = 0
		if diff := cmp.Diff(want, early); diff != "" {
			t.Errorf("%s before the log: %s", c.name, diff)
		}
		after := dump(t, r.fsm)
		after.seemsAt(before)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s changed more than the applied index: %s", c.name, diff)
		}
	}
}

type syncStep struct {
	name    string
	mode    Mode
	ops     []Operation
	counts  Counts
	details Details
	// live records afterwards: ns/id=data@entry, the entry being the number of
	// the step that last changed it.
	live string
}

func TestSyncs(t *testing.T) {
	cases := map[string][]syncStep{
		"incremental": {
			{"nothing", Incremental, nil, Counts{}, Details{}, ""},
			{"creates", Incremental, ops(upsert("n", "a", "1"), upsert("n", "b", "1"), upsert("m", "a", "1")),
				Counts{Upserted: 3}, Details{Created: 3}, "m/a=1@1 n/a=1@1 n/b=1@1"},
			{"updates, leaves, deletes", Incremental, ops(upsert("n", "a", "2"), upsert("n", "b", "1"), remove("m", "a")),
				Counts{Upserted: 2, Deleted: 1}, Details{Updated: 1, Unchanged: 1, Removed: 1}, "n/a=2@2 n/b=1@1"},
			{"delete again, delete of an absent id", Incremental, ops(remove("m", "a"), remove("m", "z"), remove("new", "z")),
				Counts{Deleted: 3}, Details{Unchanged: 3}, "n/a=2@2 n/b=1@1"},
			{"back from a tombstone", Incremental, ops(upsert("m", "a", "1")),
				Counts{Upserted: 1}, Details{Created: 1}, "m/a=1@4 n/a=2@2 n/b=1@1"},
		},
		"the last operation on an id decides": {
			{"create", Incremental, ops(remove("n", "a"), upsert("n", "a", "1"), upsert("n", "b", "1"), remove("n", "b"), upsert("n", "a", "2")),
				Counts{Upserted: 3, Deleted: 2}, Details{Created: 1, Unchanged: 1}, "n/a=2@0"},
			{"there and back", Incremental, ops(upsert("n", "a", "3"), remove("n", "a"), upsert("n", "a", "2")),
				Counts{Upserted: 2, Deleted: 1}, Details{Unchanged: 1}, "n/a=2@0"},
			{"refresh", FullRefresh, ops(upsert("n", "c", "1"), upsert("n", "a", "4"), remove("n", "c")),
				Counts{Upserted: 2, Deleted: 1}, Details{Updated: 1, Unchanged: 1}, "n/a=4@2"},
		},
		"full refresh": {
			{"of nothing", FullRefresh, ops(upsert("n", "a", "1"), upsert("n", "b", "1"), upsert("n", "c", "1")),
				Counts{Upserted: 3}, Details{Created: 3}, "n/a=1@0 n/b=1@0 n/c=1@0"},
			{"other namespaces stay", Incremental, ops(upsert("m", "a", "1"), remove("n", "c")),
				Counts{Upserted: 1, Deleted: 1}, Details{Created: 1, Removed: 1}, "m/a=1@1 n/a=1@0 n/b=1@0"},
			{"keeps, changes, adds, drops", FullRefresh, ops(upsert("n", "a", "1"), upsert("n", "c", "2"), upsert("n", "d", "1")),
				Counts{Upserted: 3}, Details{Created: 2, Unchanged: 1, Removed: 1}, "m/a=1@1 n/a=1@0 n/c=2@2 n/d=1@2"},
			{"a lone delete empties", FullRefresh, ops(remove("n", "zz")),
				Counts{Deleted: 1}, Details{Removed: 3, Unchanged: 1}, "m/a=1@1"},
			{"an emptied one", FullRefresh, ops(remove("n", "a"), upsert("n", "b", "7")),
				Counts{Upserted: 1, Deleted: 1}, Details{Created: 1, Unchanged: 1}, "m/a=1@1 n/b=7@4"},
			{"a delete of a live id", FullRefresh, ops(remove("n", "b"), upsert("m", "b", "2")),
				Counts{Upserted: 1, Deleted: 1}, Details{Created: 1, Removed: 2}, "m/b=2@5"},
		},
	}
	for name, steps := range cases {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { runSyncSteps(t, steps) })
	}
}

func ops(list ...Operation) []Operation { return list }

func runSyncSteps(t *testing.T, steps []syncStep) {
	r := newRig(t)
	r.setUp(1000)
	stepOf := map[uint64]int{}
	for i, step := range steps {
		stepOf[r.next] = i
		got := r.mustApply(newSync(step.mode, step.ops...)).Sync
		if diff := cmp.Diff(step.counts, got.Counts); diff != "" {
			t.Errorf("%s: counts %s", step.name, diff)
		}
		if diff := cmp.Diff(step.details, got.Details); diff != "" {
			t.Errorf("%s: details %s", step.name, diff)
		}
		var sum Counts
		for _, ns := range got.ByNamespace {
			sum.Upserted += ns.Upserted
			sum.Deleted += ns.Deleted
		}
		if sum != step.counts {
			t.Errorf("%s: by namespace %+v", step.name, got.ByNamespace)
		}
		v := r.view()
		if live := describeLive(t, v, stepOf); live != step.live {
			t.Errorf("%s: live %s, want %s", step.name, live, step.live)
		}
		v.Close()
	}
}

func TestByNamespaceIsInTheOrderOfFirstUse(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	got := r.mustApply(newSync(Incremental, upsert("z", "1", "a"), upsert("b", "1", "a"), remove("z", "2"), upsert("a", "1", "a"))).Sync
	want := []NamespaceCounts{
		{Namespace: "z", Counts: Counts{Upserted: 1, Deleted: 1}},
		{Namespace: "b", Counts: Counts{Upserted: 1}},
		{Namespace: "a", Counts: Counts{Upserted: 1}},
	}
	if diff := cmp.Diff(want, got.ByNamespace); diff != "" {
		t.Error(diff)
	}
	d := dump(t, r.fsm)
	if z, b, a := d.Namespaces["vs_a/z"].Num, d.Namespaces["vs_a/b"].Num, d.Namespaces["vs_a/a"].Num; z != 1 || b != 2 || a != 3 {
		t.Errorf("numbers %d %d %d", z, b, a)
	}
}

func TestTimestamps(t *testing.T) {
	r := newRig(t)
	r.setUp(100)
	send := func(mode Mode, ts int64, list ...Operation) {
		t.Helper()
		s := newSync(mode, list...)
		s.Timestamp, s.HasTimestamp = ts, ts != 0
		r.mustApply(s)
	}
	check := func(what, id string, ts int64, index uint64, maxTS, floor int64) {
		t.Helper()
		d := dump(t, r.fsm)
		ns := d.Namespaces["vs_a/n"]
		if ns.MaxTS != maxTS || ns.Floor != floor {
			t.Errorf("%s: max %d, floor %d, want %d, %d", what, ns.MaxTS, ns.Floor, maxTS, floor)
		}
		f := fingerprintOf(t, r.fsm, "n", id)
		if f.SyncTimestamp != ts || f.Changed.Index != index {
			t.Errorf("%s: timestamp %d, changed at %d, want %d, %d", what, f.SyncTimestamp, f.Changed.Index, ts, index)
		}
	}
	late := testWall + 100*second
	first := r.next
	send(Incremental, 0, upsert("n", "a", "1"))
	check("missing: wall time", "a", testWall, first, testWall, 0)
	send(Incremental, late, upsert("n", "a", "1"))
	check("unchanged with a newer one", "a", late, first, late, 0)
	second3 := r.next
	send(Incremental, 0, upsert("n", "b", "1"))
	check("missing: never older than what is there", "b", late, second3, late, 0)
	send(Incremental, 5, upsert("n", "b", "1"), remove("n", "c"))
	check("older than what is there", "b", late, second3, late, 0)
	check("tombstone of an absent id", "c", 5, second3+2, late, 0)
	send(Incremental, 6, remove("n", "c"))
	check("unchanged tombstone", "c", 6, second3+2, late, 0)
	send(FullRefresh, late+7, upsert("n", "b", "1"))
	check("refresh", "b", late+7, second3, late+7, late+7)
}

func TestUnchangedUpsertLeavesContent(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(newSync(Incremental, upsert("n", "a", `{"x":1}`)))
	again := newSync(Incremental, upsert("n", "a", `{"x":1}`))
	again.SyncID = "sync_2"
	again.Operations[0].Data = []byte(`{ "x" : 1 }`) // the same content by its hash
	r.mustApply(again)
	v := r.view()
	defer v.Close()
	rec, found, err := v.Record(testOrg, testStore, "n", "a")
	if err != nil || !found || string(rec.Data) != `{"x":1}` || rec.SyncID != "sync_1" {
		t.Errorf("%+v, %v, %v", rec, found, err)
	}
}

func TestAbsentAndEmptyFieldsDiffer(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	full := Operation{
		Action: Upsert, Namespace: "n", ID: "full", Data: []byte("{}"), File: []byte(`{"f":1}`),
		SourceSystem: []byte("crm"), CreatedAt: []byte("c"), UpdatedAt: []byte("u"),
	}
	empty := Operation{Action: Upsert, Namespace: "n", ID: "empty", SourceSystem: []byte{}}
	r.mustApply(newSync(Incremental, full, empty))
	v := r.view()
	defer v.Close()
	index := v.Applied()
	want := []Record{
		{ID: "empty", Namespace: "n", SourceSystem: []byte{}, SyncTimestamp: testWall, SyncID: "sync_1", Index: index},
		{
			ID: "full", Namespace: "n", Data: []byte("{}"), File: []byte(`{"f":1}`), SourceSystem: []byte("crm"),
			CreatedAt: []byte("c"), UpdatedAt: []byte("u"), SyncTimestamp: testWall, SyncID: "sync_1", Index: index,
		},
	}
	if diff := cmp.Diff(want, readAll(t, v, "n")); diff != "" {
		t.Error(diff)
	}
}
