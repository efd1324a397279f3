package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dryRun is what v tells about s, and checks that nothing is written.
func (r *rig) dryRun(s *Sync) *Result {
	r.t.Helper()
	body, err := Encode(s)
	must(r.t, err)
	v := r.view()
	defer v.Close()
	before := stateHash(r.t, r.fsm)
	result, err := v.DryRun(body, r.wall)
	must(r.t, err)
	if stateHash(r.t, r.fsm) != before {
		r.t.Error("a dry run wrote something")
	}
	return result
}

// compareDryRun checks that a dry run told what came of the sync, the window
// apart.
func compareDryRun(t failer, dry, applied *Result) {
	if applied.Outcome == RateLimited {
		return // the dry run has gone further
	}
	want := *applied
	sync := *applied.Sync
	want.Sync, want.Index, sync.Window = &sync, dry.Index, Window{}
	if diff := cmp.Diff(&want, dry); diff != "" {
		t.Fatalf("dry run (-applied +dry): %s", diff)
	}
}

func TestDryRunIgnoresTheWindow(t *testing.T) {
	r := newRig(t)
	r.setUp(1)
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	if got := r.apply(newSync(Incremental)); got.Outcome != RateLimited {
		t.Fatalf("%+v", got)
	}
	got := r.dryRun(newSync(FullRefresh, upsert("n", "b", "1")))
	if want := (Details{Created: 1, Removed: 1}); got.Outcome != OK || got.Sync.Details != want || got.Index != r.fsm.Applied() {
		t.Errorf("%+v, %+v", got, got.Sync)
	}
	got = r.dryRun(newSync(FullRefresh, upsert("n", "b", "1")).guarded(99_999))
	if diff := cmp.Diff(&Losses{Live: 1, Removed: 1, Limit: 99_999}, got.Sync.Losses); got.Outcome != DeleteGuard || diff != "" {
		t.Errorf("outcome %d, %s", got.Outcome, diff)
	}
}

func TestDryRunOfNoSync(t *testing.T) {
	r := newRig(t)
	r.setUp(1)
	v := r.view()
	defer v.Close()
	for name, body := range map[string][]byte{"a key": readGolden(t, "entry-key-create"), "damage": {1, 2}} {
		if got, err := v.DryRun(body, 0); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
