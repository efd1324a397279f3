package admission

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pipesync/fsm"
	"pipesync/storage"
)

// staleBody is a sync that only Apply can refuse, once fresh has been applied.
func staleBody(t testing.TB, n int, change ...func(*fsm.Sync)) []byte {
	return syncBody(t, n, append([]func(*fsm.Sync){func(s *fsm.Sync) {
		s.Operations[0].ID = "fresh"
		s.Timestamp, s.HasTimestamp, s.OnStale = 1, true, fsm.RejectStale
	}}, change...)...)
}

// fresh applies what makes stale bodies of org stale.
func (g *group) fresh(t *testing.T, leader *node, change ...func(*fsm.Sync)) {
	t.Helper()
	body := syncBody(t, 0, append([]func(*fsm.Sync){func(s *fsm.Sync) {
		s.Operations[0].ID, s.Timestamp, s.HasTimestamp = "fresh", 2, true
	}}, change...)...)
	if got := decode(t, g.propose(t, leader, body)); got.Outcome != fsm.OK {
		t.Fatalf("outcome %d", got.Outcome)
	}
}

// refuseAll has Apply refuse as many syncs of the first key as it may.
func (g *group) refuseAll(t *testing.T, leader *node) {
	t.Helper()
	for i := range refusalsPerMinute {
		before := g.index
		if got := decode(t, g.propose(t, leader, staleBody(t, 0))); got.Outcome != fsm.StaleSync || g.index != before+1 {
			t.Fatalf("refusal %d: outcome %d after %d entries", i, got.Outcome, g.index-before)
		}
	}
}

// wantNoEntry proposes body, which must be answered before the log.
func (g *group) wantNoEntry(t *testing.T, leader *node, body []byte, want fsm.Outcome) *fsm.Result {
	t.Helper()
	before := g.index
	got := decode(t, g.propose(t, leader, body))
	if got.Outcome != want || g.index != before {
		t.Fatalf("outcome %d, want %d, after %d entries", got.Outcome, want, g.index-before)
	}
	return got
}

func TestTheRefusalAfterTheLastCostsNoEntry(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	g.fresh(t, n)
	g.refuseAll(t, n)
	got := g.wantNoEntry(t, n, staleBody(t, 0), fsm.TooManyRefusals)
	if s := got.Sync; got.Index != 0 || s.RetryMillis != 3000 || s.Window.Limit != testLimit || s.Window.Remaining != testLimit-1 || s.SyncID != "sync_0" {
		t.Errorf("%+v %+v", got, got.Sync)
	}
	n.clock.advance(3*time.Second - time.Nanosecond)
	if got := g.wantNoEntry(t, n, syncBody(t, 0), fsm.TooManyRefusals); got.Sync.RetryMillis != 1 {
		t.Errorf("a nanosecond before the end: wait %d ms", got.Sync.RetryMillis)
	}
	n.clock.advance(time.Nanosecond)
	if got := decode(t, g.propose(t, n, staleBody(t, 0))); got.Outcome != fsm.StaleSync {
		t.Errorf("after the time that was told: outcome %d", got.Outcome)
	}
	g.wantNoEntry(t, n, staleBody(t, 0), fsm.TooManyRefusals)
	n.clock.advance(time.Minute)
	g.refuseAll(t, n)
	g.wantNoEntry(t, n, staleBody(t, 0), fsm.TooManyRefusals)
	assertIdle(t, n.gate)
}

// TestRefusalsHoldUpNobodyElse: neither another key of the organization, nor another
// organization, nor what is answered before the log anyhow.
func TestRefusalsHoldUpNobodyElse(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	g.propose(t, n, encode(t, &fsm.KeyCreate{
		RequestID: fsm.RequestID{3}, KeyID: "key_b", Org: "org_b", Name: "b", DefaultStore: "vs_b",
	}))
	other := func(s *fsm.Sync) { s.Org, s.KeyID, s.Store = "org_b", "key_b", "vs_b" }
	keyed := func(s *fsm.Sync) {
		s.Idempotency = fsm.Idempotency{Key: storage.KeyHash{1}, Request: storage.RequestHash{1}}
	}
	g.fresh(t, n)
	g.fresh(t, n, other)
	g.propose(t, n, syncBody(t, 0, keyed))
	g.refuseAll(t, n)
	for name, tc := range map[string]struct {
		body []byte
		want fsm.Outcome
	}{
		"another key":                    {syncBody(t, refusalsPerMinute), fsm.OK},
		"another key's refusal":          {staleBody(t, refusalsPerMinute), fsm.StaleSync},
		"another organization":           {syncBody(t, 0, other), fsm.OK},
		"another organization's refusal": {staleBody(t, 0, other), fsm.StaleSync},
	} {
		before := g.index
		if got := decode(t, g.propose(t, n, tc.body)); got.Outcome != tc.want || g.index != before+1 {
			t.Errorf("%s: outcome %d, want %d, after %d entries", name, got.Outcome, tc.want, g.index-before)
		}
	}
	g.wantNoEntry(t, n, syncBody(t, 0, keyed), fsm.Replayed)
	g.wantNoEntry(t, n, syncBody(t, 0, func(s *fsm.Sync) { s.Store = "vs_unknown" }), fsm.StoreNotFound)
	g.wantNoEntry(t, n, syncBody(t, 0), fsm.TooManyRefusals)
}

// TestManyRefusalsAtOnce sends them all before the first is decided.
func TestManyRefusalsAtOnce(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	g.fresh(t, n)
	before := g.index
	var all sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[fsm.Outcome]int{}
	for range 200 {
		body := staleBody(t, 0)
		all.Go(func() {
			reply, release, err := n.gate.Admit(t.Context(), g.term, body)
			if err != nil {
				t.Error(err)
				return
			}
			if reply == nil {
				reply = g.commit(t, n, body)
				defer func() { release(reply) }()
			}
			mu.Lock()
			defer mu.Unlock()
			outcomes[decode(t, reply).Outcome]++
		})
	}
	all.Wait()
	if g.index-before != refusalsPerMinute || outcomes[fsm.StaleSync] != refusalsPerMinute || outcomes[fsm.TooManyRefusals] != 200-refusalsPerMinute {
		t.Errorf("%d entries; outcomes %v", g.index-before, outcomes)
	}
	assertIdle(t, n.gate)
}

// TestOnlyRefusalsCount: neither what is applied, nor what is replayed by Apply, nor what its
// node proposes once more with all contents, nor what never got to the log or whose reply
// isn't known.
func TestOnlyRefusalsCount(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	for range 2 * refusalsPerMinute {
		g.propose(t, n, syncBody(t, 0))
		g.admitted(t, n, syncBody(t, 0))(nil)
	}
	keyed := func(s *fsm.Sync) {
		s.Idempotency = fsm.Idempotency{Key: storage.KeyHash{1}, Request: storage.RequestHash{1}}
	}
	first, second := syncBody(t, 0, keyed), syncBody(t, 0, keyed)
	releaseFirst, releaseSecond := g.admitted(t, n, first), g.admitted(t, n, second)
	releaseFirst(g.commit(t, n, first))
	replayed := g.commit(t, n, second)
	if got := decode(t, replayed); got.Outcome != fsm.Replayed {
		t.Fatalf("outcome %d", got.Outcome)
	}
	releaseSecond(replayed)
	for range 2 * refusalsPerMinute {
		omits := syncBody(t, 0, func(s *fsm.Sync) {
			s.Operations[0] = fsm.Operation{Action: fsm.Upsert, Namespace: "ns", ID: "absent", Omitted: true}
			s.OmittedBytes = 2
		})
		if got := decode(t, g.propose(t, n, omits)); got.Outcome != fsm.ContentsOmitted {
			t.Fatalf("outcome %d", got.Outcome)
		}
	}
	g.fresh(t, n)
	g.refuseAll(t, n)
}

func TestRefusalsEndWithTheTerm(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	g.fresh(t, n)
	late := g.admitted(t, n, staleBody(t, 0))
	g.refuseAll(t, g.lead(0))
	g.wantNoEntry(t, n, staleBody(t, 0), fsm.TooManyRefusals)
	g.lead(0)
	late((&fsm.Result{Outcome: fsm.StaleSync}).Encode())
	g.refuseAll(t, n)
}

// TestRefusalsAgainstABucket compares the one time of a key with a bucket that is
// filled as time passes.
func TestRefusalsAgainstABucket(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := newRefusals()
	const full = refusalsPerMinute * refusalInterval
	now, held := int64(0), full
	for i := range 20_000 {
		passed := rng.Int64N(2 * refusalInterval)
		if rng.IntN(50) == 0 {
			passed *= 20
		}
		now, held = now+passed, min(full, held+passed)
		left, wait := r.left("key", now)
		wantWait := int64(0)
		if held < refusalInterval {
			wantWait = refusalInterval - held
		}
		if want := held / refusalInterval; int64(left) != want || wait != wantWait {
			t.Fatalf("step %d: %d left, wait %d; want %d, %d", i, left, wait, want, wantWait)
		}
		if left > 0 && rng.IntN(4) > 0 {
			r.count("key", now)
			held -= refusalInterval
		}
	}
}

// TestFullBucketsAreForgotten: what is kept is bounded by what was refused lately.
func TestFullBucketsAreForgotten(t *testing.T) {
	r := newRefusals()
	const perMinute = 1000
	for i := range 10 * perMinute {
		r.count(fmt.Sprint("key_", i), int64(i)*refusalsMinute/perMinute)
		if len(r.fullAt) > 2*perMinute {
			t.Fatalf("%d keys are kept after %d refusals", len(r.fullAt), i+1)
		}
	}
}
