package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A proposal that comes a second time writes nothing and is answered as the first
// time, whatever has happened in between; after ten minutes it is another one.
func TestRequestIsAppliedOnce(t *testing.T) {
	r := newRig(t)
	r.setUp(2)
	s := newSync(Incremental, upsert("n", "a", "1")).proposed(1)
	first := r.mustApply(s)
	r.mustApply(newSync(Incremental, remove("n", "a")).proposed(2))
	r.mustApply(&KeyRevoke{KeyID: testKey})
	r.now += requestKeepNanos - 1
	before := dump(t, r.fsm)
	if diff := cmp.Diff(first, r.apply(s)); diff != "" {
		t.Errorf("the second time (-first +second): %s", diff)
	}
	after := dump(t, r.fsm)
	after.seemsAt(before)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("it wrote %s", diff)
	}
	r.now++
	if got := r.apply(s); got.Outcome != KeyRevoked {
		t.Errorf("after ten minutes: %+v", got)
	}
}

// Only what was applied is kept: a refusal may be decided otherwise the next time.
func TestRefusedRequestIsDecidedAnew(t *testing.T) {
	r := newRig(t)
	r.setUp(1)
	r.mustApply(newSync(Incremental).proposed(1))
	s := newSync(Incremental).proposed(2)
	if got := r.apply(s); got.Outcome != RateLimited {
		t.Fatalf("%+v", got)
	}
	r.now += windowLen * nanosPerMilli
	r.mustApply(s)
}

func TestOldRequestsAreCollected(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	for n := range 10 {
		r.mustApply(newSync(Incremental).proposed(n))
	}
	r.now += requestKeepNanos
	left := func(slots, records int) {
		t.Helper()
		d := dump(t, r.fsm)
		if len(d.RequestSlots) != slots || len(d.Requests) != records || d.RequestHead.Next-d.RequestHead.First != uint64(slots) {
			t.Errorf("%d slots, %d records, head %+v, want %d, %d", len(d.RequestSlots), len(d.Requests), d.RequestHead, slots, records)
		}
	}
	r.mustApply(newSync(Incremental).proposed(8)) // whose old slot isn't collected yet
	left(10-collectedPerSync+1, 10-collectedPerSync)
	r.mustApply(newSync(Incremental))
	r.mustApply(newSync(Incremental))
	left(1, 1)
	index := r.next
	if got := r.apply(newSync(Incremental).proposed(8)); got.Outcome != OK || got.Index >= index {
		t.Errorf("the one that came again isn't remembered: %+v", got)
	}
}
