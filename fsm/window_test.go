package fsm

import (
	"errors"
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

// TestWindowAgainstList compares the slots with a plain list of all admitted syncs,
// with a limit and a length that change in between. While nothing that is forgotten
// can be in the window, they agree in everything; else the slots count too many, for
// as long as what they forgot last is in it.
func TestWindowAgainstList(t *testing.T) {
	db, err := storage.Open(t.TempDir(), storage.Options{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	org := storage.OrgNum(0)
	rapid.Check(t, func(t *rapid.T) {
		org++
		lengths := rapid.SampledFrom([][]uint32{{1000}, {1000, 400}, {1000, 2500, 9000}}).Draw(t, "lengths")
		var admitted []modelAdmitted
		var now int64
		for range rapid.IntRange(1, 60).Draw(t, "syncs") {
			now += rapid.Int64Range(0, 400).Draw(t, "pause") * nanosPerMilli
			set := storage.Settings{
				Limits: storage.Limits{
					RequestsPerWindow: rapid.Uint32Range(1, 8).Draw(t, "limit"), BytesPerWindow: rapid.Uint64Range(0, 100).Draw(t, "bytes"),
				},
				WindowMillis: rapid.SampledFrom(lengths).Draw(t, "length"),
			}
			w, err := readWindow(db, storage.Org{Num: org}, set, now)
			if err != nil {
				t.Fatal(err)
			}
			compareWindow(t, w, admitted)
			bytes := rapid.Uint64Range(0, 40).Draw(t, "size")
			compareRoom(t, db, w, admitted, bytes)
			if w.full() || bytes > w.roomBytes() {
				continue
			}
			admitted = append(admitted, modelAdmitted{now, bytes})
			b := db.NewBatch()
			if err := errors.Join(w.admit(db, b, bytes), b.Commit(), b.Close()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func compareWindow(t *rapid.T, w *rateWindow, admitted []modelAdmitted) {
	var inWindow []int64
	for _, a := range admitted {
		if a.at > w.now-w.length {
			inWindow = append(inWindow, a.at)
		}
	}
	inWindow = inWindow[max(0, len(inWindow)-int(w.limit)):]
	if int(w.counted) < len(inWindow) {
		t.Fatalf("at %d: %+v counts too few of %v", w.now, w, admitted)
	}
	forgotten := w.head.First > 0 && w.head.Forgotten > w.now-w.length
	if forgotten && w.head.Admitted-w.head.First < uint64(w.limit) {
		return
	}
	if int(w.counted) != len(inWindow) || (len(inWindow) > 0 && w.oldest != inWindow[0]) {
		t.Fatalf("at %d: %+v, want %v", w.now, w, inWindow)
	}
}

// compareRoom compares the bytes in the window, and when there is room for more, with
// those of the list. Where something that is forgotten may be in the window, there are
// never too few, and the time is never too early.
func compareRoom(t *rapid.T, r storage.Reader, w *rateWindow, admitted []modelAdmitted, bytes uint64) {
	in := func(now int64) (n int, sum uint64) {
		for _, a := range admitted {
			if a.at > now-w.length {
				n, sum = n+1, sum+a.bytes
			}
		}
		return n, sum
	}
	_, sum := in(w.now)
	exact := w.head.First == 0 || w.head.Forgotten <= w.now-w.length
	if w.bytes < sum || exact && w.bytes != sum {
		t.Fatalf("at %d: %+v, want %d bytes", w.now, w, sum)
	}
	if bytes <= w.roomBytes() || bytes > w.limitBytes {
		return
	}
	wait, err := w.untilRoom(r, bytes)
	if err != nil || wait <= 0 {
		t.Fatalf("at %d: wait %d, %v", w.now, wait, err)
	}
	fits := func(now int64) bool {
		n, sum := in(now)
		return n < int(w.limit) && sum+bytes <= w.limitBytes
	}
	if !fits(w.now+wait) || exact && fits(w.now+wait-1) {
		t.Fatalf("at %d: %+v, %d bytes in %d: wait %d", w.now, w, bytes, sum, wait)
	}
}

// TestSlotsFollowTheLimit lowers a limit: the slots of the old one go, two with each
// sync, and none that may still be counted.
func TestSlotsFollowTheLimit(t *testing.T) {
	db, err := storage.Open(t.TempDir(), storage.Options{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	admit := func(now int64, limit uint32) storage.WindowHead {
		w, err := readWindow(db, storage.Org{Num: 1}, storage.Settings{Limits: storage.Limits{RequestsPerWindow: limit}, WindowMillis: 1000}, now)
		must(t, err)
		b := db.NewBatch()
		must(t, errors.Join(w.admit(db, b, 0), b.Commit(), b.Close()))
		return w.head
	}
	for i := range int64(10) {
		admit(i, 10)
	}
	for i, want := range []storage.WindowHead{
		{Admitted: 11, First: 2, Forgotten: 1}, {Admitted: 12, First: 4, Forgotten: 3}, {Admitted: 13, First: 6, Forgotten: 5},
		{Admitted: 14, First: 8, Forgotten: 7}, {Admitted: 15, First: 10, Forgotten: 9}, {Admitted: 16, First: 11, Forgotten: 2 * second},
		{Admitted: 17, First: 12, Forgotten: 4 * second},
	} {
		if got := admit(int64(i+1)*2*second, 5); got != want {
			t.Errorf("sync %d: %+v, want %+v", i, got, want)
		}
	}
}
