package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func every(*Operation) bool { return true }

// push is a sync of so many records of a namespace, each of some 500 bytes of its version.
func push(records int, version string) *Sync {
	s := newSync(Incremental)
	for i := range records {
		s.Operations = append(s.Operations, upsert("n", fmt.Sprintf("r%03d", i), `"`+strings.Repeat(version, 500)+`"`))
	}
	return s
}

// omitted counts the operations that omit their contents, after f has looked at them.
func omitted(t *testing.T, f *FSM, s *Sync) (n int) {
	t.Helper()
	must(t, f.OmitContents(s))
	bytes := 0
	for i := range s.Operations {
		if op := &s.Operations[i]; op.Omitted {
			n++
			bytes += textLen(len(op.Data))
		}
	}
	if bytes != int(s.OmittedBytes) {
		t.Errorf("%d bytes are omitted, the sync says %d", bytes, s.OmittedBytes)
	}
	return n
}

func TestOmitContents(t *testing.T) {
	const records = 2*omissionLook + 88
	changed := func(from int) *Sync {
		s := push(records, "a")
		copy(s.Operations[from:], push(records, "b").Operations[from:])
		return s
	}
	elsewhere := func(edit func(*Sync)) *Sync {
		s := push(records, "a")
		edit(s)
		return s
	}
	for name, tc := range map[string]struct {
		sync *Sync
		want int
	}{
		"all unchanged":           {push(records, "a"), records},
		"the last ten changed":    {changed(records - 10), records - 10},
		"most of them changed":    {changed(records / 3), 0},
		"all changed":             {push(records, "b"), 0},
		"new records":             {elsewhere(func(s *Sync) { s.Operations = slices.Insert(s.Operations, 0, upsert("n", "new", "1")) }), records},
		"a deletion":              {elsewhere(func(s *Sync) { s.Operations[7] = remove("n", s.Operations[7].ID) }), records - 1},
		"each record twice":       {elsewhere(func(s *Sync) { s.Operations = append(s.Operations, s.Operations...) }), records},
		"changed, and back again": {elsewhere(func(s *Sync) { s.Operations = append(push(records, "b").Operations, s.Operations...) }), records},
		"no content":              {elsewhere(func(s *Sync) { s.Operations[0] = Operation{Action: Upsert, Namespace: "n", ID: "none"} }), records - 1},
		"few bytes":               {push(2, "a"), 0},
		"more of them":            {push(3, "a"), 3},
		"a full refresh":          {elsewhere(func(s *Sync) { s.Mode = FullRefresh }), 0},
		"two namespaces":          {elsewhere(func(s *Sync) { s.Operations = append(s.Operations, renamed(push(records, "a"), "m").Operations...) }), records},
		"another namespace":       {elsewhere(func(s *Sync) { renamed(s, "m") }), 0},
		"a store that isn't":      {elsewhere(func(s *Sync) { s.Store = "vs_none" }), 0},
		"an unknown organization": {elsewhere(func(s *Sync) { s.Org = "org_none" }), 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.setUp(100)
			r.mustApply(push(records, "a"))
			r.mustApply(newSync(Incremental, Operation{Action: Upsert, Namespace: "n", ID: "none"}))
			whole := *tc.sync
			whole.Operations = slices.Clone(tc.sync.Operations)
			if got := omitted(t, r.fsm, tc.sync); got != tc.want {
				t.Errorf("%d contents are omitted, want %d", got, tc.want)
			}
			tc.sync.RestoreContents()
			if diff := cmp.Diff(&whole, tc.sync); diff != "" {
				t.Errorf("after RestoreContents (-want +got): %s", diff)
			}
		})
	}
}

func renamed(s *Sync, namespace string) *Sync {
	for i := range s.Operations {
		s.Operations[i].Namespace = namespace
	}
	return s
}

// TestOmittedContents: a sync that omits what is there does what it does with all contents,
// and counts as many bytes.
func TestOmittedContents(t *testing.T) {
	const records = 100
	again := func() *Sync {
		s := push(records, "a").at(1).proposed(1)
		copy(s.Operations[90:], push(records, "b").Operations[90:95])
		return s
	}
	apply := func(omits bool) (*Result, *dumped, []byte) {
		r := newRig(t)
		r.setUp(100)
		r.mustApply(push(records, "a").at(0))
		s := again()
		if omits && omitted(t, r.fsm, s) != records-5 {
			t.Error("not all is omitted that is there")
		}
		l := r.entry(s)
		result := r.applyLog(l)
		return result, dump(t, r.fsm), l.Data
	}
	result, state, body := apply(false)
	got, gotState, small := apply(true)
	if got.Outcome != OK || got.Sync.Details.Unchanged != records-5 || got.Sync.Details.Updated != 5 {
		t.Errorf("%+v %+v", got, got.Sync)
	}
	if diff := cmp.Diff(result, got); diff != "" {
		t.Errorf("result (-whole +omitting): %s", diff)
	}
	// The chain is over what is written, the digests over what is there: all is equal.
	if diff := cmp.Diff(state, gotState); diff != "" {
		t.Errorf("state (-whole +omitting): %s", diff)
	}
	whole, err := DecodeHeader(body)
	must(t, err)
	h, err := DecodeHeader(small)
	must(t, err)
	if h.RawBytes != whole.RawBytes || h.OmittedBytes < 95*500 || whole.OmittedBytes != 0 {
		t.Errorf("%d bytes, %d of them omitted; with all contents %d", h.RawBytes, h.OmittedBytes, whole.RawBytes)
	}
}

// TestContentsThatAreMissing: what has changed since the contents were left out refuses the
// sync, which changes nothing then, and is applied with all contents.
func TestContentsThatAreMissing(t *testing.T) {
	const records = 100
	for name, between := range map[string]*Sync{
		"another content": newSync(Incremental, upsert("n", "r007", "1")),
		"a deletion":      newSync(Incremental, remove("n", "r099")),
		"a full refresh":  newSync(FullRefresh, upsert("n", "r001", "1")),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.setUp(100)
			r.mustApply(push(records, "a"))
			s := push(records, "a").proposed(1)
			if omitted(t, r.fsm, s) != records {
				t.Fatal("not all contents are omitted")
			}
			r.mustApply(between)
			before := dump(t, r.fsm)
			if got := r.apply(s); got.Outcome != ContentsOmitted || got.Sync.Window.Remaining != 98 {
				t.Errorf("%+v %+v", got, got.Sync)
			}
			after := dump(t, r.fsm)
			before.System = after.System
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the refused sync has changed (-before +after): %s", diff)
			}
			s.RestoreContents()
			if got := r.mustApply(s); got.Sync.Details.Unchanged == records {
				t.Errorf("%+v", got.Sync)
			}
			v := r.view()
			defer v.Close()
			for i := range s.Operations {
				op := &s.Operations[i]
				if rec, _, err := v.Record(testOrg, testStore, "n", op.ID); err != nil || string(rec.Data) != string(op.Data) {
					t.Fatalf("record %+v, %v", rec, err)
				}
			}
		})
	}
	t.Run("stale", func(t *testing.T) {
		r := newRig(t)
		r.setUp(100)
		r.mustApply(push(records, "a").at(0))
		s := push(records, "a").at(1)
		omitted(t, r.fsm, s)
		r.mustApply(newSync(Incremental, upsert("n", "r007", "1")).at(2))
		if got := r.mustApply(s); got.Sync.Counts.Skipped != 1 || got.Sync.Details.Unchanged != records-1 {
			t.Errorf("%+v", got.Sync)
		}
	})
}
