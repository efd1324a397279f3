package fsm

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettingsSetChangesWhatItNames(t *testing.T) {
	r := newRig(t)
	set := &SettingsSet{Figures: []FigureValue{{1, 2}, {5, 0}}}
	if got := r.apply(set); got.Outcome != NotBootstrapped {
		t.Errorf("before bootstrap: outcome %d", got.Outcome)
	}
	r.setUp(1)
	r.mustApply(newSync(Incremental))
	if got := r.apply(newSync(Incremental)); got.Outcome != RateLimited {
		t.Errorf("outcome %d with the limit of 1", got.Outcome)
	}
	r.mustApply(set)
	if got := r.mustApply(newSync(Incremental)).Sync.Window; got.Limit != 2 || got.Remaining != 0 {
		t.Errorf("the next sync has the window %+v", got)
	}
	want := testBootstrap(2).Settings
	want.IdempotencyKeysMax = 0
	v := r.view()
	defer v.Close()
	got, _, err := v.Settings()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// TestFigures: each has a number and a name of its own, a range that its row can
// hold, and is read where it is written.
func TestFigures(t *testing.T) {
	checkFigures(t, SettingsFigures)
	checkFigures(t, LimitsFigures)
}

func checkFigures[Row any](t *testing.T, figures Figures[Row]) {
	t.Helper()
	var row Row
	var values []FigureValue
	for i, f := range figures {
		if named, ok := figures.Named(f.Name); !ok || named.Number != f.Number {
			t.Errorf("%s: the name has number %d", f.Name, named.Number)
		}
		if f.Check(f.Min) != nil || f.Check(f.Max) != nil || f.Check(f.Max+1) == nil || f.Min > 0 && f.Check(f.Min-1) == nil {
			t.Errorf("%s: its range isn't what is checked", f.Name)
		}
		values = append(values, FigureValue{f.Number, f.Max - uint64(i)})
	}
	figures.change(&row, values)
	if got := figures.all(row); !slices.Equal(got, values) {
		t.Errorf("set %v, got %v", values, got)
	}
	if err := figures.check(values); err != nil {
		t.Error(err)
	}
}

// TestLimitsSet: an organization's own figure goes before the settings', of
// today and of later, until it is taken away.
func TestLimitsSet(t *testing.T) {
	r := newRig(t)
	set := func(value uint64) *LimitsSet { return &LimitsSet{Org: testOrg, Figures: []FigureValue{{1, value}}} }
	if got := r.apply(set(2)); got.Outcome != NotBootstrapped {
		t.Errorf("before bootstrap: outcome %d", got.Outcome)
	}
	r.setUp(5)
	if got := r.mustApply(&LimitsSet{Org: "org_new", Figures: []FigureValue{{1, 7}}}); !got.Created {
		t.Error("the organization wasn't made")
	}
	for _, step := range []struct {
		cmd   Command
		limit uint32
	}{
		{set(2), 2},
		{&SettingsSet{Figures: []FigureValue{{1, 9}}}, 2},
		{set(0), 9},
	} {
		if got := r.mustApply(step.cmd); got.Created {
			t.Errorf("%+v made something", step.cmd)
		}
		v := r.view()
		w, _, err := v.Window(testOrg, 0)
		limits, found, limitsErr := v.Limits(testOrg)
		v.Close()
		if w.Limit != step.limit || err != nil || !found || limitsErr != nil || limits.Effective.RequestsPerWindow != step.limit {
			t.Errorf("after %+v: window %+v, limits %+v, %v, %v", step.cmd, w, limits, err, limitsErr)
		}
	}
	v := r.view()
	defer v.Close()
	if org, _, _ := v.Org("org_new"); org.RequestsPerWindow != 7 || org.CreatedAt != r.wall {
		t.Errorf("the new organization is %+v", org)
	}
	if _, found, err := v.Limits("org_none"); found || err != nil {
		t.Errorf("a missing organization has limits: %v", err)
	}
}
