package fsm

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

// keyStep is one command and what must come of it; wait is how much cluster time
// passes before it.
type keyStep struct {
	name    string
	wait    int64 // seconds
	sync    *Sync
	outcome Outcome
	live    string
}

func TestIdempotencyKeys(t *testing.T) {
	a := newSync(Incremental, upsert("n", "a", "1")).at(1).keyed("k1")
	refused := newSync(Incremental, upsert("n", "z", "1")).at(400).keyed("k1")
	unkeyed := newSync(Incremental, upsert("n", "a", "2")).at(2)
	for name, steps := range map[string][]keyStep{
		"the first decides": {
			{"first", 0, a, OK, "n/a=1@0"},
			{"again", 1, a.again("sync_2"), Replayed, "n/a=1@0"},
			{"over it", 0, unkeyed, OK, "n/a=2@2"},
			{"again after that", 1, a.again("sync_3"), Replayed, "n/a=2@2"},
			{"another under the key", 0, newSync(Incremental, upsert("n", "a", "3")).at(3).keyed("k1"), IdempotencyKeyReused, "n/a=2@2"},
			{"the same under another", 0, newSync(Incremental, upsert("n", "a", "2")).at(2).keyed("k2"), OK, "n/a=2@2"},
		},
		"only what was applied is kept": {
			{"in the future", 0, refused, TimestampInFuture, ""},
			{"another with its key", 0, a, OK, "n/a=1@1"},
			{"the refused one", 0, refused.again("sync_2"), IdempotencyKeyReused, "n/a=1@1"},
		},
		"a key is kept for its time, to the nanosecond": {
			{"first", 0, a, OK, "n/a=1@0"},
			{"in the last second", idempotencySeconds - 1, a.again("sync_2"), Replayed, "n/a=1@0"},
			{"then", 1, newSync(Incremental, upsert("n", "a", "2")).at(3).keyed("k1"), OK, "n/a=2@2"},
			{"which counts from now", idempotencySeconds - 1, newSync(Incremental, upsert("n", "a", "2")).at(3).keyed("k1").again("sync_4"), Replayed, "n/a=2@2"},
			{"the first one is another now", 0, a.again("sync_5"), IdempotencyKeyReused, "n/a=2@2"},
		},
		"no more keys than there may be": {
			{"one", 0, a, OK, "n/a=1@0"},
			{"two", 1, newSync(Incremental, upsert("n", "b", "1")).keyed("k2"), OK, "n/a=1@0 n/b=1@1"},
			{"three", 1, newSync(Incremental).keyed("k3"), OK, "n/a=1@0 n/b=1@1"},
			{"four", 0, newSync(Incremental, upsert("n", "c", "1")).keyed("k4"), IdempotencyStoreFull, "n/a=1@0 n/b=1@1"},
			{"replays go on", 0, a.again("sync_5"), Replayed, "n/a=1@0 n/b=1@1"},
			{"without a key too", 0, newSync(Incremental, upsert("n", "d", "1")), OK, "n/a=1@0 n/b=1@1 n/d=1@5"},
			{"too early", idempotencySeconds - 3, newSync(Incremental, upsert("n", "c", "1")).keyed("k4"), IdempotencyStoreFull, "n/a=1@0 n/b=1@1 n/d=1@5"},
			{"the first is gone", 1, newSync(Incremental, upsert("n", "c", "1")).keyed("k4"), OK, "n/a=1@0 n/b=1@1 n/c=1@7 n/d=1@5"},
			{"the others aren't", 0, newSync(Incremental).keyed("k5"), IdempotencyStoreFull, "n/a=1@0 n/b=1@1 n/c=1@7 n/d=1@5"},
		},
	} {
		t.Run(name, func(t *testing.T) { runKeySteps(t, steps) })
	}
}

func runKeySteps(t *testing.T, steps []keyStep) {
	r := newRig(t)
	r.setUp(1000)
	stepOf := map[uint64]int{}
	replies := map[storage.KeyHash]*Result{}
	for i, step := range steps {
		r.now += step.wait * second
		stepOf[r.next] = i
		before := dump(t, r.fsm)
		got := r.apply(step.sync)
		if got.Outcome != step.outcome {
			t.Fatalf("%s: outcome %d, want %d", step.name, got.Outcome, step.outcome)
		}
		key := step.sync.Idempotency.Key
		switch got.Outcome {
		case OK:
			replies[key] = got
		case Replayed:
			want := *replies[key]
			want.Outcome = Replayed
			sync := *want.Sync
			want.Sync, sync.Window = &sync, got.Sync.Window
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("%s (-first +replay): %s", step.name, diff)
			}
		}
		if got.Outcome != OK {
			after := dump(t, r.fsm)
			after.seemsAt(before)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("%s wrote %s", step.name, diff)
			}
		}
		v := r.view()
		if live := describeLive(t, v, stepOf); live != step.live {
			t.Errorf("%s: live %s, want %s", step.name, live, step.live)
		}
		v.Close()
	}
}

// A replay is answered whatever has become of the window and the API key since.
func TestReplayComesBeforeKeyAndWindow(t *testing.T) {
	r := newRig(t)
	r.setUp(1)
	s := newSync(Incremental, upsert("n", "a", "1")).keyed("k1")
	first := r.mustApply(s)
	if got := r.apply(s.again("sync_2")); got.Outcome != Replayed || got.Sync.Window.Remaining != 0 {
		t.Errorf("with a full window: %+v", got)
	}
	if got := r.apply(newSync(Incremental).keyed("k2")); got.Outcome != RateLimited {
		t.Errorf("a new one with a full window: %+v", got)
	}
	r.mustApply(&KeyRevoke{KeyID: testKey})
	if got := r.apply(s.again("sync_3")); got.Outcome != Replayed || got.Index != first.Index {
		t.Errorf("with a revoked key: %+v", got)
	}
	if got := r.apply(newSync(Incremental).keyed("k1")); got.Outcome != IdempotencyKeyReused {
		t.Errorf("another request: %+v", got)
	}
}

// Keys are an organization's own: another's never meets them.
func TestKeysOfAnotherOrganization(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(&KeyCreate{KeyID: "key_b", Org: "org_b", DefaultStore: testStore})
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")).keyed("k1"))
	theirs := newSync(Incremental, upsert("n", "a", "2"))
	theirs.Org, theirs.KeyID = "org_b", "key_b"
	r.mustApply(theirs.keyed("k1"))
}

// What has expired is cleared away a few at a time, by any sync, and nothing of it
// is left; what was stored again under the same key stays.
func TestExpiredKeysAreCollected(t *testing.T) {
	r := newRig(t)
	b := testBootstrap(1000)
	b.Settings.IdempotencyKeysMax, b.Settings.HistorySyncsMax = 100, 1
	r.mustApply(b)
	r.mustApply(&KeyCreate{KeyID: testKey, Org: testOrg, DefaultStore: testStore})
	for i := range 10 {
		r.mustApply(newSync(Incremental, upsert("n", "a", "1")).keyed(fmt.Sprint("k", i)))
	}
	r.now += idempotencySeconds * second
	left := func(slots, rows int) {
		t.Helper()
		d := dump(t, r.fsm)
		if len(d.KeySlots) != slots || len(d.History) != rows || d.KeyHeads[testOrg].Next-d.KeyHeads[testOrg].First != uint64(slots) {
			t.Errorf("%d slots, %d history rows, head %+v: want %d and %d", len(d.KeySlots), len(d.History), d.KeyHeads[testOrg], slots, rows)
		}
	}
	left(10, 10)
	r.mustApply(newSync(Incremental).keyed("k5")) // of a slot that isn't collected yet
	left(10-collectedPerSync+1, 10-collectedPerSync+1)
	r.mustApply(newSync(Incremental))
	left(10-2*collectedPerSync+1, 10-2*collectedPerSync+2) // a row of a sync without a key
	r.mustApply(newSync(Incremental))
	left(1, 2)
	if d := dump(t, r.fsm); len(d.Remembered) != 1 {
		t.Errorf("remembered %v", d.Remembered)
	}
	if got := r.apply(newSync(Incremental).keyed("k5").again("sync_9")); got.Outcome != Replayed {
		t.Errorf("%+v", got)
	}
}

func TestKeyLimitsOfTheSettings(t *testing.T) {
	r := newRig(t)
	b := testBootstrap(1000)
	b.Settings.IdempotencyKeysMax, b.Settings.IdempotencyRetentionSeconds = 1, 0
	r.mustApply(b)
	r.mustApply(&KeyCreate{KeyID: testKey, Org: testOrg, DefaultStore: testStore})
	s := newSync(Incremental).keyed("k1")
	r.mustApply(s)
	r.now += 1 << 60 // 0 keeps them for ever
	if got := r.apply(s.again("sync_2")); got.Outcome != Replayed {
		t.Errorf("%+v", got)
	}
	none := newRig(t)
	b.Settings.IdempotencyKeysMax = 0
	none.mustApply(b)
	none.mustApply(&KeyCreate{KeyID: testKey, Org: testOrg, DefaultStore: testStore})
	if got := none.apply(s); got.Outcome != IdempotencyStoreFull {
		t.Errorf("%+v", got)
	}
}

func TestHashRequest(t *testing.T) {
	base := func() *Sync {
		return newSync(Incremental, Operation{Action: Upsert, Namespace: "n", ID: "a", Hash: testHash("1"), Data: []byte("1")}, remove("n", "b")).at(1)
	}
	want := base().HashRequest()
	for name, change := range map[string]func(s *Sync){
		"request id": func(s *Sync) { s.RequestID = RequestID{9} },
		"sync id":    func(s *Sync) { s.SyncID = "sync_9" },
		"key":        func(s *Sync) { s.KeyID = "key_9" },
		"layout":     func(s *Sync) { s.Operations[0].Data = []byte(" 1") }, // the content hash is the same
	} {
		s := base()
		if change(s); s.HashRequest() != want {
			t.Errorf("another %s makes another request", name)
		}
	}
	seen := map[storage.RequestHash]string{want: "nothing"}
	for name, change := range map[string]func(s *Sync){
		"organization":       func(s *Sync) { s.Org = "org_b" },
		"store":              func(s *Sync) { s.Store = "vs_b" },
		"mode":               func(s *Sync) { s.Mode = FullRefresh },
		"timestamp":          func(s *Sync) { s.Timestamp++ },
		"no timestamp":       func(s *Sync) { s.Timestamp, s.HasTimestamp = 0, false },
		"on stale":           func(s *Sync) { s.rejecting() },
		"checkpoint":         func(s *Sync) { s.checkpointed("p", "1") },
		"another pipeline":   func(s *Sync) { s.checkpointed("q", "1") },
		"another state":      func(s *Sync) { s.checkpointed("p", " 1") },
		"guard":              func(s *Sync) { s.guarded(0) },
		"another guard":      func(s *Sync) { s.guarded(1) },
		"content":            func(s *Sync) { s.Operations[0].Hash[0]++ },
		"created at":         func(s *Sync) { s.Operations[0].CreatedAt = []byte("2") },
		"empty created at":   func(s *Sync) { s.Operations[0].CreatedAt = []byte{} },
		"updated at":         func(s *Sync) { s.Operations[0].UpdatedAt = []byte("2") },
		"namespace":          func(s *Sync) { s.Operations[1].Namespace = "m" },
		"id":                 func(s *Sync) { s.Operations[1].ID = "c" },
		"shifted names":      func(s *Sync) { s.Operations[1].Namespace, s.Operations[1].ID = "nb", "" },
		"order":              func(s *Sync) { s.Operations[0], s.Operations[1] = s.Operations[1], s.Operations[0] },
		"fewer":              func(s *Sync) { s.Operations = s.Operations[:1] },
		"a delete of it":     func(s *Sync) { s.Operations[0] = remove("n", "a") },
		"the other's fields": func(s *Sync) { s.Operations[0].UpdatedAt, s.Operations[0].CreatedAt = []byte("2"), []byte{} },
	} {
		s := base()
		change(s)
		got := s.HashRequest()
		if other, same := seen[got]; same {
			t.Errorf("%s is the same request as %s", name, other)
		}
		seen[got] = name
	}
	if want[0] != requestHashVersion {
		t.Errorf("version %d", want[0])
	}
	golden(t, "request-hash", want[:])
	key := HashIdempotencyKey("POST /v1/pipeline/sync", "run-1")
	golden(t, "key-hash", key[:])
	if HashIdempotencyKey("a", "bc") == HashIdempotencyKey("ab", "c") {
		t.Error("route and key run into each other")
	}
}

// A hash of another version can't be compared: the key was used, so the first
// reply is told.
func TestRequestHashOfAnotherVersion(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	s := newSync(Incremental, upsert("n", "a", "1")).keyed("k1")
	r.mustApply(s)
	other := s.again("sync_2")
	other.Idempotency.Request[0], other.Idempotency.Request[5] = requestHashVersion+1, 0
	if got := r.apply(other); got.Outcome != Replayed {
		t.Errorf("%+v", got)
	}
}

// The leader tells a replay before the log as Apply does, and leaves the first to
// the log as long as it isn't applied.
func TestLeaderAnswersReplays(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	s := newSync(Incremental, upsert("n", "a", "1")).keyed("k1")
	at := Stamp{ClusterTime: r.now, WallTime: r.wall}
	if early := r.checkEarly(s, at); early != nil {
		t.Errorf("before it is applied: %+v", early)
	}
	r.mustApply(s)
	early := r.checkEarly(s.again("sync_2"), at)
	if diff := cmp.Diff(r.apply(s.again("sync_2")), early); diff != "" {
		t.Error(diff)
	}
	at.ClusterTime += idempotencySeconds * second
	if early := r.checkEarly(s, at); early != nil {
		t.Errorf("after its time: %+v", early)
	}
}
