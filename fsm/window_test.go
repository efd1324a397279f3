package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pipesync/storage"
)

func TestWindowFillsAndSlides(t *testing.T) {
	const limit = 3
	ms := int64(nanosPerMilli)
	steps := []struct {
		at   int64 // cluster time, milliseconds
		want Outcome
		win  Window
	}{
		{0, OK, Window{limit, 2, 60_000, windowLen}},
		{10, OK, Window{limit, 1, 59_990, windowLen}},
		{20_000, OK, Window{limit, 0, 40_000, windowLen}},
		{59_999, RateLimited, Window{limit, 0, 1, windowLen}},
		{60_000, OK, Window{limit, 0, 10, windowLen}}, // the first left at this very moment
		{60_009, RateLimited, Window{limit, 0, 1, windowLen}},
		{60_010, OK, Window{limit, 0, 19_990, windowLen}},
		{50_000, RateLimited, Window{limit, 0, 19_990, windowLen}}, // cluster time never goes back
		{200_000, OK, Window{limit, 2, 60_000, windowLen}},
	}
	r := newRig(t)
	r.setUp(limit)
	for i, s := range steps {
		r.now = s.at * ms
		v := r.view()
		before, admit, err := v.Window(testOrg, r.now)
		v.Close()
		if err != nil || admit != (s.want == OK) {
			t.Errorf("step %d: the view admits %v, %v", i, admit, err)
		}
		got := r.apply(newSync(Incremental))
		if got.Outcome != s.want {
			t.Errorf("step %d: outcome %d", i, got.Outcome)
		}
		if diff := cmp.Diff(s.win, got.Sync.Window); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
		if s.want != OK && before != s.win {
			t.Errorf("step %d: the view says %+v", i, before)
		}
		if slots := dump(t, r.fsm).Slots; len(slots) > limit {
			t.Errorf("step %d: slots are left behind: %v", i, slots)
		}
	}
}

func TestWindowsAreOfOneOrganization(t *testing.T) {
	r := newRig(t)
	r.setUp(1)
	r.mustApply(&KeyCreate{KeyID: "key_b", Org: "org_b", DefaultStore: "vs_b"})
	r.mustApply(newSync(Incremental))
	s := newSync(Incremental)
	s.Org, s.KeyID, s.Store = "org_b", "key_b", "vs_b"
	r.mustApply(s)
	v := r.view()
	defer v.Close()
	for org, want := range map[string]bool{testOrg: false, "org_b": false, "org_unknown": true} {
		w, admit, err := v.Window(org, 0)
		if err != nil || admit != want || w.Limit != 1 {
			t.Errorf("%s: %+v, %v, %v", org, w, admit, err)
		}
	}
}

func TestWindowBeforeBootstrapAdmitsNothing(t *testing.T) {
	v := newRig(t).view()
	defer v.Close()
	if w, admit, err := v.Window(testOrg, 0); w != (Window{}) || admit || err != nil {
		t.Errorf("%+v, %v, %v", w, admit, err)
	}
}

// The ring of slots against a plain list of all admitted syncs, with a limit
// that changes in between.
func TestWindowAgainstList(t *testing.T) {
	dir := t.TempDir()
	db, err := storage.Open(dir, storage.Options{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	org := storage.OrgNum(0)
	rapid.Check(t, func(t *rapid.T) {
		org++
		var admitted []int64
		var now int64
		for range rapid.IntRange(1, 60).Draw(t, "syncs") {
			now += rapid.Int64Range(0, 400).Draw(t, "pause") * nanosPerMilli
			limit := rapid.Uint32Range(1, 8).Draw(t, "limit")
			set := storage.Settings{RequestsPerWindow: limit, WindowMillis: 1000}
			w, err := readWindow(db, storage.Org{Num: org}, set, now)
			if err != nil {
				t.Fatal(err)
			}
			var inWindow []int64
			for _, at := range admitted {
				if at > now-1000*nanosPerMilli {
					inWindow = append(inWindow, at)
				}
			}
			full := len(inWindow) >= int(limit)
			inWindow = inWindow[max(0, len(inWindow)-int(limit)):]
			if w.full() != full || int(w.counted) != len(inWindow) || (len(inWindow) > 0 && w.oldest != inWindow[0]) {
				t.Fatalf("at %d, limit %d: %+v, want %v", now, limit, w, inWindow)
			}
			if full {
				continue
			}
			admitted = append(admitted, now)
			b := db.NewBatch()
			w.admit(b)
			if err := b.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
