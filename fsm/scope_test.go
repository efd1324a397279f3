package fsm

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

func TestDeny(t *testing.T) {
	batch := ops(upsert("docs", "1", "a"), upsert("docs/de", "1", "a"), remove("docs", "2"), upsert("logs", "1", "a"), remove("logs", "1"))
	cases := map[string]struct {
		scope Scope
		mode  Mode
		ops   []Operation
		want  *Denial
	}{
		"no limits":               {Scope{}, Incremental, batch, nil},
		"no limits to a refresh":  {Scope{}, FullRefresh, batch, nil},
		"all that is needed":      {Scope{MayUpsert | MayDelete, []string{testStore}, []string{"docs*", "logs"}}, Incremental, batch, nil},
		"reads alone":             {Scope{Actions: MayRead}, Incremental, batch, &Denial{Action: MayUpsert, Operation: 0}},
		"no deletes":              {Scope{Actions: MayUpsert | MayFullRefresh | MayRead}, Incremental, batch, &Denial{Action: MayDelete, Operation: 2}},
		"no upserts":              {Scope{Actions: MayDelete}, Incremental, batch[2:], &Denial{Action: MayUpsert, Operation: 1}},
		"no refreshes":            {Scope{Actions: MayUpsert | MayDelete}, FullRefresh, batch, &Denial{Action: MayFullRefresh, Operation: -1}},
		"refreshes alone":         {Scope{Actions: MayFullRefresh}, FullRefresh, batch, nil},
		"an incremental sync":     {Scope{Actions: MayFullRefresh}, Incremental, batch, &Denial{Action: MayUpsert, Operation: 0}},
		"nothing, by a reader":    {Scope{Actions: MayRead | MayDeleteNamespace}, Incremental, nil, &Denial{Action: MayUpsert, Operation: -1}},
		"nothing, by a deleter":   {Scope{Actions: MayDelete}, Incremental, nil, nil},
		"nothing, by a refresher": {Scope{Actions: MayFullRefresh}, Incremental, nil, nil},
		"another store":           {Scope{Stores: []string{"vs_b", testStore + "x"}}, Incremental, batch, &Denial{Store: testStore, Operation: -1}},
		"one of the stores":       {Scope{Stores: []string{"vs_b", testStore}}, Incremental, batch, nil},
		"exact names":             {Scope{Namespaces: []string{"logs", "docs"}}, Incremental, batch, &Denial{Namespace: "docs/de", Operation: 1}},
		"a beginning":             {Scope{Namespaces: []string{"docs*"}}, Incremental, batch, &Denial{Namespace: "logs", Operation: 3}},
		"a beginning in refresh":  {Scope{Namespaces: []string{"docs*"}}, FullRefresh, batch, &Denial{Namespace: "logs", Operation: 3}},
		"more than the name":      {Scope{Namespaces: []string{"docs/*"}}, Incremental, batch, &Denial{Namespace: "docs", Operation: 0}},
		"any beginning":           {Scope{Namespaces: []string{"*"}}, Incremental, batch, nil},
		"a star in the middle":    {Scope{Namespaces: []string{"d*s", "*s"}}, Incremental, batch, &Denial{Namespace: "docs", Operation: 0}},
		"other letters":           {Scope{Namespaces: []string{"Docs*"}}, Incremental, batch, &Denial{Namespace: "docs", Operation: 0}},
	}
	for name, c := range cases {
		got := c.scope.Deny(testStore, c.mode, newSync(c.mode, c.ops...).Outline().Uses)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOutline(t *testing.T) {
	got := newSync(Incremental, upsert("z", "1", "a"), upsert("z", "2", "a"), upsert("b", "1", "a"), upsert("z", "3", "a"),
		remove("z", "2"), remove("b", "3"), remove("z", "3")).Outline()
	want := Outline{Namespaces: []string{"z", "b"}, Uses: []Use{{Upsert, "z", 0}, {Upsert, "b", 2}, {Delete, "z", 4}, {Delete, "b", 5}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestKeyExpires at its time, by the wall time of the entry alone.
func TestKeyExpires(t *testing.T) {
	r := newRig(t)
	r.setUp(100)
	r.mustApply(&KeyCreate{KeyID: "key_short", Org: testOrg, LifetimeSeconds: 10})
	s := newSync(Incremental, upsert("n", "a", "1"))
	s.KeyID = "key_short"
	for _, c := range []struct {
		after int64
		want  Outcome
	}{{0, OK}, {10*second - 1, OK}, {10 * second, KeyExpired}, {90 * second, KeyExpired}, {5 * second, OK}} {
		r.wall = testWall + c.after
		if got := r.apply(s); got.Outcome != c.want {
			t.Errorf("%d ns after it was made: outcome %d, want %d", c.after, got.Outcome, c.want)
		}
	}
}

func TestSecondsLater(t *testing.T) {
	for _, c := range []struct {
		wall    int64
		seconds uint32
		want    int64
	}{
		{testWall, 0, 0}, {testWall, 1, testWall + second}, {-2 * second, 2, 1}, {math.MinInt64, 1, 1},
		{math.MaxInt64 - second, 1, math.MaxInt64}, {math.MaxInt64 - second + 1, 1, math.MaxInt64}, {0, math.MaxUint32, math.MaxUint32 * second},
	} {
		if got := secondsLater(c.wall, c.seconds); got != c.want {
			t.Errorf("%d s after %d: %d, want %d", c.seconds, c.wall, got, c.want)
		}
	}
}

// TestKeyEndsAtOnce: none of the entries behind the one that ends a key is
// committed with it, whenever they were proposed.
func TestKeyEndsAtOnce(t *testing.T) {
	r := newRig(t)
	r.setUp(100)
	s := newSync(Incremental, upsert("n", "a", "1"))
	if got := r.checkEarly(s, Stamp{WallTime: r.wall}); got != nil {
		t.Fatalf("refused before the log: %+v", got)
	}
	r.mustApply(&KeyRevoke{KeyID: testKey})
	if got := r.apply(s); got.Outcome != KeyRevoked {
		t.Errorf("outcome %d", got.Outcome)
	}
}

func TestScopeBounds(t *testing.T) {
	for want, s := range map[string]Scope{
		"actions 0x20":           {Actions: 1 << 5},
		"65 stores":              {Stores: slices.Repeat([]string{"vs_a"}, MaxScopeNames+1)},
		"65 namespaces":          {Namespaces: slices.Repeat([]string{"n"}, MaxScopeNames+1)},
		"store has 0 bytes":      {Stores: []string{""}},
		"namespace has 0 bytes":  {Namespaces: []string{"n", ""}},
		"namespace has 1021 byt": {Namespaces: []string{strings.Repeat("x", MaxNameBytes+1)}},
	} {
		if _, err := Encode(&KeyCreate{KeyID: "k", Org: "o", Scope: s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	most := Scope{Actions: allKeyActions, Stores: slices.Repeat([]string{"vs_a"}, MaxScopeNames)}
	for i := range MaxScopeNames {
		most.Namespaces = append(most.Namespaces, fmt.Sprint(i, "*"))
	}
	r := newRig(t)
	r.mustApply(testBootstrap(1))
	r.mustApply(&KeyCreate{KeyID: "k", Org: "o", Scope: most})
	v := r.view()
	defer v.Close()
	got, _, err := v.Key("k")
	if diff := cmp.Diff(storage.Scope(most), got.Scope); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
