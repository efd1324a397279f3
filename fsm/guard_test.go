package fsm

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Namespace n has a, b and c, and m has d: live records, next to a tombstone.
func TestDeleteGuard(t *testing.T) {
	losses := func(live, removed uint64) *Losses { return &Losses{Live: live, Removed: removed} }
	for name, c := range map[string]struct {
		sync *Sync
		want *Losses // nil: it is applied
	}{
		"none of three":                   {newSync(Incremental, upsert("n", "a", "2"), remove("n", "z")).guarded(0), nil},
		"one of three, at most 33.333":    {newSync(Incremental, remove("n", "a")).guarded(33_333), losses(3, 1)},
		"one of three, at most 33.334":    {newSync(Incremental, remove("n", "a")).guarded(33_334), nil},
		"exactly a quarter":               {newSync(Incremental, remove("n", "a"), upsert("m", "d", "1")).guarded(25_000), nil},
		"more than a quarter":             {newSync(Incremental, remove("n", "a"), upsert("m", "d", "1")).guarded(24_999), losses(4, 1)},
		"all of the smaller":              {newSync(Incremental, upsert("n", "a", "1"), remove("m", "d")).guarded(25_000), nil},
		"a namespace that isn't named":    {newSync(Incremental, remove("m", "d")).guarded(99_999), losses(1, 1)},
		"deleted and made again":          {newSync(Incremental, remove("n", "a"), upsert("n", "a", "2")).guarded(0), nil},
		"made and deleted again":          {newSync(Incremental, upsert("n", "new", "2"), remove("n", "new")).guarded(0), nil},
		"twice the same":                  {newSync(Incremental, remove("n", "a"), remove("n", "a")).guarded(33_334), nil},
		"stale deletes remove nothing":    {newSync(Incremental, remove("n", "a")).at(-9).guarded(0), nil},
		"nothing to lose":                 {newSync(Incremental, remove("new", "a")).guarded(0), nil},
		"all, and all may be":             {newSync(FullRefresh, remove("n", "a")).guarded(AllDeleted), nil},
		"all":                             {newSync(FullRefresh, remove("n", "a")).guarded(99_999), losses(3, 3)},
		"a refresh that keeps two":        {newSync(FullRefresh, upsert("n", "a", "2"), upsert("n", "b", "1"), upsert("n", "z", "1")).guarded(33_333), losses(3, 1)},
		"which is allowed":                {newSync(FullRefresh, upsert("n", "a", "2"), upsert("n", "b", "1")).guarded(33_334), nil},
		"a refresh with other ids":        {newSync(FullRefresh, upsert("n", "x", "1"), upsert("n", "y", "1"), upsert("n", "w", "1")).guarded(50_000), losses(3, 3)},
		"a refresh of two":                {newSync(FullRefresh, upsert("n", "a", "1"), upsert("n", "b", "1"), upsert("n", "c", "1"), remove("m", "d")).guarded(25_000), nil},
		"a refresh that revives the dead": {newSync(FullRefresh, upsert("n", "dead", "1")).guarded(99_999), losses(3, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.setUp(10)
			r.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1"), upsert("n", "c", "1"),
				upsert("m", "d", "1"), remove("n", "dead")).at(0))
			before := dump(t, r.fsm)
			got := r.apply(c.sync)
			if c.want == nil {
				if got.Outcome != OK || got.Sync.Losses != nil {
					t.Errorf("%+v", got)
				}
				return
			}
			c.want.Limit = c.sync.MaxDelete
			if diff := cmp.Diff(c.want, got.Sync.Losses); got.Outcome != DeleteGuard || diff != "" {
				t.Errorf("outcome %d (-want +got): %s", got.Outcome, diff)
			}
			after := dump(t, r.fsm)
			after.seemsAt(before)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("a refusal wrote %s", diff)
			}
		})
	}
}

func TestGuardIsExact(t *testing.T) {
	const most = math.MaxUint64
	for _, c := range []struct {
		live, removed uint64
		limit         uint32
		over          bool
	}{
		{0, 0, 0, false}, {most, 0, 0, false}, {most, 1, 0, true}, {most, most, AllDeleted, false}, {most, most, AllDeleted - 1, true},
		{1_000_000, 12_345, 1235, false}, {1_000_000, 12_350, 1235, false}, {1_000_000, 12_351, 1235, true},
		{most - 15, (most - 15) / 2, 50_000, false}, {most - 15, (most-15)/2 + 1, 50_000, true},
	} {
		l := Losses{Live: c.live, Removed: c.removed, Limit: c.limit}
		if l.over() != c.over {
			t.Errorf("%d of %d, at most %d: over is %v", c.removed, c.live, c.limit, !c.over)
		}
	}
}
