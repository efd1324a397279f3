package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each case sets quotas of an organization that has the records a, b and c of n, ten
// bytes in all, and the tombstones x and y.
func TestQuotas(t *testing.T) {
	for name, c := range map[string]struct {
		figures []FigureValue
		sync    *Sync
		want    *Excess
	}{
		"a record more than may be":   {[]FigureValue{{3, 3}}, newSync(Incremental, upsert("n", "d", "1")), &Excess{QuotaRecords, 4, 3}},
		"the last that may be":        {[]FigureValue{{3, 4}}, newSync(Incremental, upsert("n", "d", "1")), nil},
		"one for another":             {[]FigureValue{{3, 1}}, newSync(Incremental, upsert("n", "d", "1"), remove("n", "a")), nil},
		"an update over the quota":    {[]FigureValue{{3, 1}}, newSync(Incremental, upsert("n", "a", "12")), nil},
		"a deletion over all quotas":  {[]FigureValue{{3, 1}, {4, 1}, {5, 1}, {6, 1}}, newSync(Incremental, remove("n", "a")), nil},
		"back from a tombstone":       {[]FigureValue{{3, 3}}, newSync(Incremental, upsert("n", "x", "1")), &Excess{QuotaRecords, 4, 3}},
		"a refresh that grows":        {[]FigureValue{{3, 3}}, newSync(FullRefresh, upsert("m", "d", "1")), &Excess{QuotaRecords, 4, 3}},
		"a refresh that shrinks":      {[]FigureValue{{3, 1}}, newSync(FullRefresh, upsert("n", "d", "1"), upsert("n", "e", "1")), nil},
		"what is stale doesn't count": {[]FigureValue{{3, 3}}, newSync(Incremental, upsert("n", "x", "1")).at(-5), nil},

		"bytes":                 {[]FigureValue{{4, 10}}, newSync(Incremental, upsert("n", "a", "1234")), &Excess{QuotaBytes, 11, 10}},
		"as many bytes":         {[]FigureValue{{4, 9}}, newSync(Incremental, upsert("n", "a", "321")), nil},
		"fewer bytes":           {[]FigureValue{{4, 9}}, newSync(Incremental, upsert("n", "a", "")), nil},
		"unchanged bytes":       {[]FigureValue{{4, 9}}, newSync(Incremental, upsert("n", "a", "123")), nil},
		"bytes, and fewer rows": {[]FigureValue{{4, 10}}, newSync(Incremental, remove("n", "b"), upsert("n", "a", "1234567")), &Excess{QuotaBytes, 11, 10}},

		"a tombstone of nothing":           {[]FigureValue{{5, 2}}, newSync(Incremental, remove("n", "z")), &Excess{QuotaTombstones, 3, 2}},
		"a tombstone of a record":          {[]FigureValue{{5, 2}}, newSync(Incremental, remove("n", "a")), nil},
		"a tombstone again":                {[]FigureValue{{5, 1}}, newSync(Incremental, remove("n", "x")), nil},
		"a record while over tombstones":   {[]FigureValue{{5, 1}}, newSync(Incremental, upsert("n", "d", "1")), &Excess{QuotaTombstones, 2, 1}},
		"a record while at the tombstones": {[]FigureValue{{5, 2}}, newSync(Incremental, upsert("n", "d", "1")), nil},
		"a refresh over the tombstones":    {[]FigureValue{{5, 1}}, newSync(FullRefresh, upsert("n", "a", "1"), upsert("n", "d", "1")), &Excess{QuotaTombstones, 4, 1}},

		"a namespace":               {[]FigureValue{{6, 1}}, newSync(Incremental, upsert("m", "d", "1")), &Excess{QuotaNamespaces, 2, 1}},
		"two, with room for one":    {[]FigureValue{{6, 2}}, newSync(Incremental, remove("m", "d"), remove("o", "d")), &Excess{QuotaNamespaces, 3, 2}},
		"no new namespace":          {[]FigureValue{{6, 1}}, newSync(Incremental, upsert("n", "d", "1")), nil},
		"namespaces before records": {[]FigureValue{{3, 1}, {6, 1}}, newSync(Incremental, upsert("m", "d", "1")), &Excess{QuotaNamespaces, 2, 1}},
		"records before bytes":      {[]FigureValue{{3, 3}, {4, 9}, {5, 1}}, newSync(Incremental, upsert("n", "d", "1")), &Excess{QuotaRecords, 4, 3}},
		"bytes before tombstones":   {[]FigureValue{{4, 9}, {5, 1}}, newSync(Incremental, upsert("n", "d", "1")), &Excess{QuotaBytes, 12, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.setUp(10)
			r.mustApply(newSync(Incremental, upsert("n", "a", "123"), upsert("n", "b", "12"), upsert("n", "c", "12"), remove("n", "x"), remove("n", "y")).at(0))
			r.mustApply(&LimitsSet{Org: testOrg, Figures: c.figures})
			before := dump(t, r.fsm)
			got := r.apply(c.sync)
			if diff := cmp.Diff(c.want, got.Sync.Excess); diff != "" || (got.Outcome == QuotaExceeded) != (c.want != nil) {
				t.Fatalf("outcome %d, excess (-want +got): %s", got.Outcome, diff)
			}
			if c.want == nil {
				if got.Outcome != OK {
					t.Fatalf("outcome %d", got.Outcome)
				}
				return
			}
			if got.Sync.Window.Remaining != 9 {
				t.Errorf("the refusal counts: %+v", got.Sync.Window)
			}
			after := dump(t, r.fsm)
			after.System = before.System
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the refusal wrote: %s", diff)
			}
		})
	}
}

// TestQuotaOfOneStore: the namespaces of one store are bounded by the settings,
// whatever the organization's limits say.
func TestQuotaOfOneStore(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(&StoreCreate{Org: testOrg, Store: "vs_b"})
	r.mustApply(&SettingsSet{Figures: []FigureValue{{13, 1}}})
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	got := r.apply(newSync(Incremental, upsert("m", "a", "1")))
	if diff := cmp.Diff(&Excess{QuotaStoreNamespaces, 2, 1}, got.Sync.Excess); diff != "" || got.Outcome != QuotaExceeded {
		t.Errorf("outcome %d: %s", got.Outcome, diff)
	}
	other := newSync(Incremental, upsert("m", "a", "1"))
	other.Store = "vs_b"
	r.mustApply(other)
}

// TestQuotasOfTheSettings hold for an organization that has none of its own.
func TestQuotasOfTheSettings(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(&SettingsSet{Figures: []FigureValue{{9, 1}, {10, 100}, {11, 1}, {12, 1}}})
	r.mustApply(newSync(Incremental, upsert("n", "a", "1"), remove("n", "x")))
	for _, c := range []struct {
		op    Operation
		quota Quota
	}{{upsert("n", "b", "1"), QuotaRecords}, {upsert("n", "a", string(make([]byte, 100))), QuotaBytes}, {remove("n", "y"), QuotaTombstones}, {remove("m", "y"), QuotaNamespaces}} {
		if got := r.apply(newSync(Incremental, c.op)); got.Outcome != QuotaExceeded || got.Sync.Excess.Quota != c.quota {
			t.Errorf("%s: outcome %d, %+v", c.quota, got.Outcome, got.Sync.Excess)
		}
	}
	r.mustApply(&LimitsSet{Org: testOrg, Figures: []FigureValue{{3, 2}}})
	r.mustApply(newSync(Incremental, upsert("n", "b", "1")))
}
