package fsm

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"pipesync/storage"
)

// rapidRig is a rig for one round of a property.
func rapidRig(t *testing.T, rt *rapid.T) *rig {
	dir, err := os.MkdirTemp(t.TempDir(), "round")
	if err != nil {
		rt.Fatal(err)
	}
	r := &rig{t: t, dir: dir, next: 10, wall: testWall}
	r.opts = func(o *Options) { o.Bounds = testBounds }
	r.open()
	return r
}

func drawOperation(t *rapid.T) Operation {
	ns := rapid.SampledFrom([]string{"n", "m", "o"}).Draw(t, "namespace")
	id := rapid.SampledFrom(dumpIDs).Draw(t, "id")
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		return remove(ns, id)
	}
	return upsert(ns, id, rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "data"))
}

func drawSync(t *rapid.T, number int) *Sync {
	s := newSync(Incremental)
	s.SyncID = fmt.Sprint("sync_", number)
	least := 0
	if rapid.IntRange(0, 2).Draw(t, "refresh") == 0 {
		s.Mode, least = FullRefresh, 1
	}
	s.Operations = rapid.SliceOfN(rapid.Custom(drawOperation), least, 12).Draw(t, "operations")
	if len(s.Operations) == 0 {
		s.Operations = nil
	}
	if s.Mode == Incremental && rapid.IntRange(0, 2).Draw(t, "omit") == 0 {
		s.omitting(func(*Operation) bool { return rapid.IntRange(0, 3).Draw(t, "omitted") > 0 })
	}
	if rapid.IntRange(0, 3).Draw(t, "has timestamp") > 0 {
		ahead := rapid.OneOf(rapid.Int64Range(-5, 8), rapid.Int64Range(-5, 8), rapid.Int64Range(0, 30), rapid.Just(int64(400)))
		s.at(ahead.Draw(t, "timestamp"))
	}
	if rapid.IntRange(0, 3).Draw(t, "reject") == 0 {
		s.rejecting()
	}
	if rapid.IntRange(0, 2).Draw(t, "checkpoint") == 0 {
		s.checkpointed(rapid.SampledFrom(dumpPipelines).Draw(t, "pipeline"), fmt.Sprint(number))
	}
	if rapid.IntRange(0, 2).Draw(t, "guard") == 0 {
		s.guarded(rapid.SampledFrom([]uint32{0, 1, 20_000, 33_333, 33_334, 50_000, 99_999, AllDeleted}).Draw(t, "max delete"))
	}
	return s
}

func drawCollect(t *rapid.T, clusterTime int64) *Collect {
	c := &Collect{
		Store: 1, Namespace: rapid.SampledFrom([]string{"n", "m", "o"}).Draw(t, "namespace"),
		Generation: storage.Generation(rapid.IntRange(1, 3).Draw(t, "generation")),
		Before:     max(0, clusterTime-rapid.Int64Range(0, 40).Draw(t, "before")*second),
		Until:      rapid.SampledFrom(append(dumpIDs, "")).Draw(t, "until"),
	}
	if after := rapid.SampledFrom(append(dumpIDs, "")).Draw(t, "after"); after < c.Until {
		c.After = after
	}
	return c
}

// drawSettings changes the settings that now are set. A window that grows is left to
// TestWindowAgainstList; keys that have expired, and are there still, come back to life
// when they are to be kept for longer.
func drawSettings(t *rapid.T, set storage.Settings) *SettingsSet {
	c := &SettingsSet{}
	for _, f := range []struct {
		number      byte
		least, most uint32
	}{
		{1, 1, 12},
		{2, min(1000, set.WindowMillis), set.WindowMillis},
		{3, 0, 20},
		{4, min(10, set.IdempotencyRetentionSeconds), set.IdempotencyRetentionSeconds},
		{5, 0, 4},
		{6, 0, 50},
		{7, 1, 8},
		{8, 0, 1000},
		{13, 0, 3},
		{14, 0, 100},
		{15, 0, 5},
	} {
		if rapid.IntRange(0, 2).Draw(t, "set") == 0 {
			c.Figures = append(c.Figures, FigureValue{f.number, uint64(rapid.Uint32Range(f.least, f.most).Draw(t, "figure"))})
		}
	}
	if c.Figures == nil {
		c.Figures = []FigureValue{{1, 12}}
	}
	return c
}

func drawLimits(t *rapid.T) *LimitsSet {
	c := &LimitsSet{Org: rapid.SampledFrom([]string{testOrg, testOrg, "org_b"}).Draw(t, "org")}
	for _, f := range []FigureValue{{1, 12}, {2, 500}, {3, 12}, {4, 30}, {5, 6}, {6, 3}} {
		if rapid.IntRange(0, 2).Draw(t, "set") == 0 {
			c.Figures = append(c.Figures, FigureValue{f.Number, rapid.Uint64Range(0, f.Value).Draw(t, "limit")})
		}
	}
	if c.Figures == nil {
		c.Figures = []FigureValue{{5, 0}, {6, 0}}
	}
	return c
}

// drawKeyed gives some syncs an idempotency key or a request id, and sends some
// again, as the client or as the node does: all of sent have been proposed.
func drawKeyed(t *rapid.T, s *Sync, sent []*Sync) *Sync {
	if rapid.Bool().Draw(t, "request id") {
		s.proposed(len(sent))
	}
	switch n := rapid.IntRange(0, 6).Draw(t, "keyed"); {
	case n == 6 && len(sent) > 0:
		return rapid.SampledFrom(sent).Draw(t, "proposed again")
	case n == 0 && len(sent) > 0:
		return rapid.SampledFrom(sent).Draw(t, "again").again(s.SyncID)
	case n <= 3:
		return s.keyed(rapid.SampledFrom(dumpKeys).Draw(t, "idempotency key"))
	}
	return s
}

// TestAgainstModel drives model and state machine with the same syncs and
// compares everything after each.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rapidRig(t, rt)
		defer r.close()
		const limit = 12
		r.setUp(limit)
		m := newModel(limit)
		consumers := []*consumer{{}, {}, {}}
		var sent []*Sync
		for n := range rapid.IntRange(1, 40).Draw(rt, "syncs") {
			r.now += rapid.Int64Range(-2, 9).Draw(rt, "cluster time") * second
			r.wall += rapid.Int64Range(-1, 3).Draw(rt, "wall time") * second
			if rapid.IntRange(0, 12).Draw(rt, "a long time") == 0 {
				r.now += 300 * second
			}
			if rapid.IntRange(0, 40).Draw(rt, "revoke") == 0 {
				keyBoth(r, m, &KeyRevoke{KeyID: testKey})
			}
			if rapid.IntRange(0, 4).Draw(rt, "keys") == 0 {
				keyBoth(r, m, drawKeyCommand(rt))
			}
			if rapid.IntRange(0, 6).Draw(rt, "rotation of the CA") == 0 {
				rotateBoth(r, m, rapid.SampledFrom(someRotationCommands()).Draw(rt, "step"))
			}
			if rapid.IntRange(0, 6).Draw(rt, "tokens") == 0 {
				tokenBoth(r, m, drawTokenCommand(rt))
			}
			if rapid.IntRange(0, 6).Draw(rt, "admin tokens") == 0 {
				adminTokenBoth(r, m, drawAdminTokenSet(rt))
			}
			if rapid.IntRange(0, 4).Draw(rt, "gossip keys") == 0 {
				gossipBoth(r, m, drawGossipCommand(rt, m.ring.revision))
			}
			switch rapid.IntRange(0, 9).Draw(rt, "collect") {
			case 0:
				collectBoth(r, m, drawCollect(rt, r.now))
			case 1:
				sweepBoth(r, m)
			case 5:
				c := drawNamespaceDelete(rt)
				l := r.entry(c)
				want := m.delete(c, l.Index, Stamp{ClusterTime: r.now, WallTime: r.wall})
				if got := r.applyLog(l); got.Outcome != want {
					rt.Fatalf("outcome %d of a deletion, want %d", got.Outcome, want)
				}
			case 6:
				c := drawCheckpointDelete(rt)
				l := r.entry(c)
				want := m.deleteCheckpoint(c, Stamp{ClusterTime: r.now, WallTime: r.wall})
				if got := r.applyLog(l); got.Outcome != want {
					rt.Fatalf("outcome %d of a checkpoint's deletion, want %d", got.Outcome, want)
				}
			case 3, 4:
				c := drawReconcile(rt)
				l := r.entry(c)
				m.reconcile(c, l.Index, Stamp{ClusterTime: r.now})
				r.applyLog(l)
			case 2:
				c := drawChangeCollect(rt, r.next)
				m.changesCollect(c, Stamp{ClusterTime: r.now})
				r.mustApply(c)
			}
			if rapid.IntRange(0, 15).Draw(rt, "settings") == 0 {
				c := drawSettings(rt, m.settings)
				m.set(c, Stamp{ClusterTime: r.now})
				r.mustApply(c)
			}
			if rapid.IntRange(0, 15).Draw(rt, "limits") == 0 {
				c := drawLimits(rt)
				m.setLimits(c, Stamp{ClusterTime: r.now})
				r.mustApply(c)
			}
			s := drawKeyed(rt, drawKeyOf(rt, drawSync(rt, n)), sent)
			sent = append(sent, s)
			l := r.entry(s)
			at := Stamp{ClusterTime: r.now, WallTime: r.wall}
			early := r.checkEarly(s, at)
			dry := r.dryRun(s)
			want := m.sync(s, l.Index, at)
			got := r.applyLog(l)
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("result of sync %d (-want +got): %s", n, diff)
			}
			compareEarly(rt, early, got)
			if s.RequestID == (RequestID{}) && !s.Idempotency.given() { // what is remembered of others ends by cluster time
				compareDryRun(rt, dry, got)
			}
			compareToModel(rt, r, m)
			for _, c := range consumers {
				for range rapid.SampledFrom([]int{0, 0, 0, 0, 1, 4}).Draw(rt, "pages") {
					c.read(rt, r, rapid.IntRange(1, 5).Draw(rt, "limit"))
				}
			}
		}
	})
}

func drawNamespaceDelete(t *rapid.T) *NamespaceDelete {
	key := rapid.SampledFrom(append([]string{testKey, testKey, testKey}, limitedKeys...)).Draw(t, "key")
	return &NamespaceDelete{Org: testOrg, KeyID: key, Store: testStore, Namespace: rapid.SampledFrom([]string{"n", "m", "o"}).Draw(t, "deleted")}
}

func drawCheckpointDelete(t *rapid.T) *CheckpointDelete {
	key := rapid.SampledFrom(append([]string{testKey, testKey}, limitedKeys...)).Draw(t, "key")
	return &CheckpointDelete{Org: testOrg, KeyID: key, Pipeline: rapid.SampledFrom(dumpPipelines).Draw(t, "pipeline")}
}

func drawReconcile(t *rapid.T) *Reconcile {
	return &Reconcile{
		Store: 1, Namespace: rapid.SampledFrom([]string{"n", "m", "o"}).Draw(t, "namespace"),
		Generation: storage.Generation(rapid.IntRange(1, 6).Draw(t, "generation")),
	}
}

func drawChangeCollect(t *rapid.T, next uint64) *ChangeCollect {
	from := rapid.Uint64Range(0, next).Draw(t, "after")
	return &ChangeCollect{
		Store: 1, After: storage.Seq{Index: from, Offset: rapid.Uint32Range(0, 3).Draw(t, "offset")},
		Until: storage.Seq{Index: rapid.Uint64Range(from+1, next+2).Draw(t, "until")},
	}
}

// checkEarly is what the leader would say to s before the log.
func (r *rig) checkEarly(s *Sync, at Stamp) *Result {
	r.t.Helper()
	body, err := Encode(s)
	must(r.t, err)
	h, err := DecodeHeader(body)
	must(r.t, err)
	v := r.view()
	defer v.Close()
	early, _, err := v.CheckSync(h, s.Outline(), at)
	must(r.t, err)
	return early
}

// compareEarly checks that the leader refuses only as Apply does, and leaves to
// Apply only what takes the rows of records.
func compareEarly(t *rapid.T, early, applied *Result) {
	if early == nil {
		switch applied.Outcome {
		case OK, StaleSync, RefreshTimestampReused, SyncTooOld, ReconcileBacklog, ContentsOmitted, DeleteGuard:
		case QuotaExceeded:
			if q := applied.Sync.Excess.Quota; q == QuotaNamespaces || q == QuotaStoreNamespaces {
				t.Fatalf("the leader would have sent to the log what Apply refuses for its new namespaces")
			}
		default:
			t.Fatalf("the leader would have sent to the log what Apply refuses with %d", applied.Outcome)
		}
		return
	}
	if early.Outcome != Replayed && early.Outcome != OK {
		early.Index = applied.Index
	}
	if diff := cmp.Diff(applied, early); diff != "" {
		t.Fatalf("the leader's refusal (-Apply +leader): %s", diff)
	}
}

func collectBoth(r *rig, m *model, c *Collect) {
	m.collect(c, Stamp{ClusterTime: r.now})
	r.mustApply(c)
}

// sweepBoth collects as a leader does.
func sweepBoth(r *rig, m *model) {
	r.t.Helper()
	v := r.view()
	sweeps, err := v.Sweeps(r.now, 2)
	v.Close()
	must(r.t, err)
	for _, s := range sweeps {
		for !s.Done() {
			v := r.view()
			c, err := s.Next(v, RequestID{})
			v.Close()
			must(r.t, err)
			if c != nil {
				collectBoth(r, m, c.(*Collect))
			}
		}
	}
}

// failer is what testing.T and rapid.T have in common.
type failer interface{ Fatalf(string, ...any) }

func compareToModel(t failer, r *rig, m *model) {
	v := r.view()
	defer v.Close()
	if got := v.System().ClusterTime; got != m.clusterTime {
		t.Fatalf("cluster time %d, want %d", got, m.clusterTime)
	}
	w, admit, err := v.Window(testOrg, 0)
	if err != nil || w != m.windowResult() || admit != (w.Remaining > 0) {
		t.Fatalf("window %+v, %v, %v, want %+v", w, admit, err, m.windowResult())
	}
	compareHistory(t, v, m)
	compareUsage(t, v, m.usage())
	compareCheckpoints(t, v, m)
	var names []string
	for name := range m.namespaces {
		names = append(names, name)
	}
	sort.Strings(names)
	var want []NamespaceInfo
	for _, name := range names {
		if !m.namespaces[name].deleted {
			want = append(want, m.namespaces[name].info(name))
		}
	}
	got, err := v.Namespaces(testOrg, testStore, Scope{}, "", 100)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("namespaces (-want +got): %s, %v", diff, err)
	}
	for _, name := range names {
		ns := m.namespaces[name]
		if !ns.deleted {
			if diff := cmp.Diff(ns.records(), readAll(r.t, v, name)); diff != "" {
				t.Fatalf("records of %s (-want +got): %s", name, diff)
			}
		}
		compareNamespaceRow(t, v, name, ns)
	}
	compareKeys(t, v, m)
	compareTokens(t, v, m)
	compareGossip(t, v, m)
	compareAdminToken(t, v, m)
	compareRotation(t, v, m)
	compareChanges(t, v, m)
}

func compareChanges(t failer, v *View, m *model) {
	store, err := v.findStore(testOrg, testStore)
	if err != nil {
		t.Fatalf("%v", err)
	}
	head, err := v.snapshot.ChangeHead(store.Num)
	if want := (storage.ChangeHead{Entries: uint64(len(m.changes)), Horizon: m.horizon}); err != nil || head != want {
		t.Fatalf("change head %+v, %v, want %+v", head, err, want)
	}
	page, err := v.Changes(testOrg, testStore, Cursor{}, 1000)
	if err != nil || page.CaughtUp == m.reconciling() || page.Reconciling != m.reconciling() || page.Horizon != m.horizon {
		t.Fatalf("changes: %+v, %v, want horizon %v", page, err, m.horizon)
	}
	if diff := cmp.Diff(m.feed(), page.Changes); diff != "" {
		t.Fatalf("changes (-want +got): %s", diff)
	}
}

// compareHistory reads the history as a list, and each sync that ever was in it
// by its id.
func compareHistory(t failer, v *View, m *model) {
	want := slices.Clone(m.history)
	slices.Reverse(want)
	got, err := readSyncs(v, 0, 1000)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Fatalf("history (-want +got): %s, %v", diff, err)
	}
	newest := map[string]SyncInfo{}
	for _, s := range m.history {
		newest[s.SyncID] = s
	}
	for n := range 45 {
		id := fmt.Sprint("sync_", n)
		got, found, err := v.Sync(testOrg, id)
		want, there := newest[id]
		if diff := cmp.Diff(want, got); diff != "" || found != there || err != nil {
			t.Fatalf("%s: found %v, want %v, %v (-want +got): %s", id, found, there, err, diff)
		}
	}
}

// compareCheckpoints reads each pipeline's, and how many there are.
func compareCheckpoints(t failer, v *View, m *model) {
	org, _, err := v.snapshot.Org(testOrg)
	head, headErr := v.snapshot.HistoryHead(org.Num)
	if err := errors.Join(err, headErr); err != nil || int(head.Checkpoints) != len(m.checkpoints) {
		t.Fatalf("%d checkpoints are counted, want %d: %v", head.Checkpoints, len(m.checkpoints), err)
	}
	for _, pipeline := range dumpPipelines {
		got, found, err := v.Checkpoint(testOrg, pipeline)
		want, there := m.checkpoints[pipeline]
		if diff := cmp.Diff(want, got); diff != "" || found != there || err != nil {
			t.Fatalf("checkpoint of %s: found %v, want %v, %v (-want +got): %s", pipeline, found, there, err, diff)
		}
	}
}

func readSyncs(v *View, before uint64, limit int) ([]SyncInfo, error) {
	var list []SyncInfo
	for s, err := range v.Syncs(testOrg, before) {
		if err != nil {
			return nil, err
		}
		if list = append(list, s); len(list) == limit {
			break
		}
	}
	return list, nil
}

// compareUsage: the test's organization has all that there is in the cluster, and
// has it in one store, so that only the digests differ.
func compareUsage(t failer, v *View, want storage.Usage) {
	limits, _, err := v.Limits(testOrg)
	store, storeErr := v.StoreUsage(testOrg, testStore)
	all, allErr := v.Usage()
	inOrg, inAll := want, want
	if want.Records > 0 {
		inOrg.Digest = modelSum(map[string]storage.Digest{testStore: want.Digest})
		inAll.Digest = modelSum(map[string]storage.Digest{testOrg: inOrg.Digest})
	}
	if limits.Usage != inOrg || store != want || all != inAll || errors.Join(err, storeErr, allErr) != nil {
		t.Fatalf("usage %+v, of the store %+v, of all %+v, %v, want %+v", limits.Usage, store, all, errors.Join(err, storeErr, allErr), want)
	}
}

// compareNamespaceRow checks what readers don't see: timestamps, tombstones,
// and that only the live generation has rows.
func compareNamespaceRow(t failer, v *View, name string, ns *modelNamespace) {
	store, row, err := v.findNamespace(testOrg, testStore, name)
	if ns.deleted && errors.Is(err, ErrNamespaceNotFound) {
		row, _, err = v.snapshot.Namespace(store.Num, name)
	}
	if err != nil || row.Deleted != ns.deleted {
		t.Fatalf("row of %s: %+v, %v, want deleted %v", name, row, err, ns.deleted)
	}
	if row.MaxTS != ns.maxTS || row.Floor != ns.floor || row.Horizon != ns.horizon || row.Next != row.Live+1 {
		t.Fatalf("row of %s: %+v, want max %d, floor %d, horizon %d", name, row, ns.maxTS, ns.floor, ns.horizon)
	}
	if row.Tombstones != uint64(len(ns.tombstones)) || row.Refreshed != (ns.refreshed != nil) {
		t.Fatalf("row of %s: %+v, want %d tombstones, refreshed %v", name, row, len(ns.tombstones), ns.refreshed)
	}
	for id, tomb := range ns.tombstones {
		if tomb.buriedAt < row.BuriedSince {
			t.Fatalf("row of %s: %s was buried at %d, since %d", name, id, tomb.buriedAt, row.BuriedSince)
		}
	}
	for gen := range row.Next + 1 {
		err := v.snapshot.Fingerprints(store.Num, row.Num, gen, dumpIDs, func(i int, f storage.Fingerprint, found bool) error {
			id := dumpIDs[i]
			if gen != row.Live {
				compareRetired(t, ns, gen, id, f, found)
				return nil
			}
			rec, live := ns.live[id]
			tomb, dead := ns.tombstones[id]
			want := gen == row.Live && (live || dead)
			if found != want || (found && f.Tombstone == live) ||
				found && (f.SyncTimestamp != max(rec.SyncTimestamp, tomb.timestamp) || f.BuriedAt != tomb.buriedAt) {
				t.Fatalf("fingerprint of %s/%s in generation %d: %v %+v", name, id, gen, found, f)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
}

// compareRetired checks a row of a generation that isn't live.
func compareRetired(t failer, ns *modelNamespace, gen storage.Generation, id string, f storage.Fingerprint, found bool) {
	var want modelRow
	there := false
	for _, g := range ns.retired {
		if g.number == gen {
			want, there = g.rows[id]
		}
	}
	if found != there || found && (f.Changed != want.changed || f.Tombstone != want.dead || f.BuriedAt != want.tomb.buriedAt) {
		t.Fatalf("fingerprint of %s in generation %d: %v %+v, want %v %+v", id, gen, found, f, there, want)
	}
}

// drawHistory makes entries of every kind, some of them fenced.
func drawHistory(rt *rapid.T, r *rig) []*raft.Log {
	history := []*raft.Log{r.entry(testBootstrap(20)), r.entry(&KeyCreate{KeyID: testKey, Org: testOrg, DefaultStore: testStore})}
	var sent []*Sync
	for n := range rapid.IntRange(1, 30).Draw(rt, "entries") {
		r.now += rapid.Int64Range(0, 5).Draw(rt, "cluster time") * second
		s := drawKeyed(rt, drawKeyOf(rt, drawSync(rt, n)), sent)
		sent = append(sent, s)
		var cmd Command = s
		switch rapid.IntRange(0, 18).Draw(rt, "kind") {
		case 7:
			cmd = drawCheckpointDelete(rt)
		case 6:
			cmd = drawLimits(rt)
		case 4:
			cmd = &Mark{Previous: storage.Mark{Index: rapid.Uint64Range(1, 30).Draw(rt, "mark")}, Scrub: rapid.Bool().Draw(rt, "scrub")}
		case 5:
			cmd = &SettingsSet{Figures: []FigureValue{{1, uint64(rapid.IntRange(1, 20).Draw(rt, "limit"))}, {2, uint64(rapid.IntRange(1, 90).Draw(rt, "window")) * 1000}}}
		case 3:
			cmd = drawCollect(rt, r.now)
		case 16:
			cmd = &OrgDelete{Org: rapid.SampledFrom([]string{"org_b", "org_b", testOrg}).Draw(rt, "org")}
			if rapid.Bool().Draw(rt, "purge") {
				cmd = &Purge{Org: storage.OrgNum(rapid.IntRange(1, 3).Draw(rt, "org number"))}
			}
		case 15:
			cmd = &StoreDelete{Org: rapid.SampledFrom([]string{testOrg, "org_b"}).Draw(rt, "org"), Store: testStore}
		case 14:
			cmd = drawNamespaceDelete(rt)
		case 13:
			cmd = drawReconcile(rt)
		case 12:
			cmd = drawChangeCollect(rt, r.next)
		case 0:
			cmd = &StoreCreate{Org: rapid.SampledFrom([]string{testOrg, "org_b"}).Draw(rt, "org"), Store: testStore}
		case 1:
			cmd = &KeyCreate{KeyID: rapid.SampledFrom([]string{"key_b", "key_c"}).Draw(rt, "key"), Org: "org_b", DefaultStore: testStore}
		case 2:
			cmd = &KeyRevoke{KeyID: rapid.SampledFrom([]string{"key_b", "key_x"}).Draw(rt, "key")}
		}
		if rapid.IntRange(0, 9).Draw(rt, "keys") == 0 {
			cmd = drawKeyCommand(rt)
		}
		if rapid.IntRange(0, 9).Draw(rt, "rotation of the CA") == 0 {
			cmd = rapid.SampledFrom(someRotationCommands()).Draw(rt, "step")
		}
		if rapid.IntRange(0, 9).Draw(rt, "tokens") == 0 {
			cmd = drawTokenCommand(rt)
		}
		if rapid.IntRange(0, 9).Draw(rt, "admin tokens") == 0 {
			cmd = drawAdminTokenSet(rt)
		}
		if rapid.IntRange(0, 9).Draw(rt, "gossip keys") == 0 {
			cmd = drawGossipCommand(rt, uint64(rapid.IntRange(0, 4).Draw(rt, "revision")))
		}
		l := r.entry(cmd)
		if rapid.IntRange(0, 10).Draw(rt, "fenced") == 0 {
			l.Term++
		}
		history = append(history, l)
	}
	return history
}

// TestInterruptionsLeaveNoTrace applies the same entries without a break, and in
// batches of any size with restarts, flushes, replays, snapshots and restores in
// between: after each the databases are equal in every key and value, and so are
// the replies to what is applied for the first time. A scrub finds nothing in them.
func TestInterruptionsLeaveNoTrace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plain, broken := rapidRig(t, rt), rapidRig(t, rt)
		defer plain.close()
		defer func() { broken.close() }()
		history := drawHistory(rt, plain)
		batch := 0 // entries left of it
		for i, l := range history {
			if batch == 0 {
				broken = interrupt(t, rt, broken, history[:i])
				batch = rapid.IntRange(1, 8).Draw(rt, "batch")
			}
			batch--
			want, got := plain.fsm.Apply(l), broken.fsm.Apply(l)
			if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
				rt.Fatalf("response to entry %d: %s", l.Index, diff)
			}
			if stateHash(t, plain.fsm) != stateHash(t, broken.fsm) {
				rt.Fatalf("state after entry %d (-plain +interrupted): %s", l.Index, cmp.Diff(dump(t, plain.fsm), dump(t, broken.fsm)))
			}
		}
		if s := scrubOf(t, broken.fsm); len(s.Problems) > 0 || s.Index != broken.fsm.Applied() || s.Hash != stateHash(t, plain.fsm) {
			rt.Fatalf("a scrub says %+v", s)
		}
	})
}

// interrupt does something to r between two entries, and returns what to go on
// with.
func interrupt(t *testing.T, rt *rapid.T, r *rig, done []*raft.Log) *rig {
	switch rapid.IntRange(0, 5).Draw(rt, "interruption") {
	case 0:
		r.reopen()
	case 1:
		return moveBySnapshot(t, rt, r)
	case 2:
		must(t, r.restore(r.snapshot()))
	case 3:
		replay(rt, r, done[rapid.IntRange(0, len(done)).Draw(rt, "replay from"):])
	case 4:
		must(t, r.fsm.Flush())
	}
	return r
}

// moveBySnapshot goes on in an empty directory, as a node that joins.
func moveBySnapshot(t *testing.T, rt *rapid.T, old *rig) *rig {
	next := rapidRig(t, rt)
	if err := next.restore(old.snapshot()); err != nil {
		rt.Fatal(err)
	}
	if next.fsm.Applied() != old.fsm.Applied() {
		rt.Fatalf("applied %d, want %d", next.fsm.Applied(), old.fsm.Applied())
	}
	old.close()
	return next
}

// replay applies entries again: those in the state are skipped, fenced ones
// that came after the last of them are fenced again.
func replay(rt *rapid.T, r *rig, entries []*raft.Log) {
	before := stateHash(r.t, r.fsm)
	for _, l := range entries {
		response := r.fsm.Apply(l)
		_, fenced := response.(*notAppliedError)
		if response != nil && (!fenced || l.Term == testTerm) {
			rt.Fatalf("replay of entry %d: %v", l.Index, response)
		}
	}
	if stateHash(r.t, r.fsm) != before {
		rt.Fatal("a replay changed the state")
	}
}
