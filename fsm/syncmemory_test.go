package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What was decoded before has no part in what comes after it in the same memory.
func TestMemoryIsUsedAgain(t *testing.T) {
	full := newSync(Incremental)
	for i := range 50 {
		full.Operations = append(full.Operations, upsert("a", idOf(i), `{"much":"of everything"}`))
		full.Operations[i].File, full.Operations[i].CreatedAt = []byte("{}"), []byte("2026-01-31")
	}
	less := newSync(Incremental, remove("b", "1"), upsert("a", "2", `{}`), remove("a", "3"))
	for _, s := range []*Sync{full, less, full} {
		body, err := Encode(s)
		must(t, err)
		cmd, err := decodeEntry(body)
		must(t, err)
		e := cmd.(*syncEntry)
		if diff := cmp.Diff(s, &e.Sync); diff != "" {
			t.Errorf("decoded (-want +got):\n%s", diff)
		}
		e.release()
	}
}

// A sync that is kept isn't changed by those that are decoded later.
func TestKeptSyncsKeepTheirMemory(t *testing.T) {
	s := newSync(Incremental, upsert("a", "1", `{"a":1}`), remove("b", "2"))
	body, err := Encode(s)
	must(t, err)
	kept, err := Decode(body)
	must(t, err)
	other, err := Encode(newSync(Incremental, upsert("x", "9", `{"b":2}`), upsert("x", "8", `{"c":3}`)))
	must(t, err)
	for range 3 {
		if _, outline, err := Inspect(other); err != nil || len(outline.Uses) != 1 {
			t.Fatalf("%+v, %v", outline, err)
		}
	}
	if diff := cmp.Diff(s, kept); diff != "" {
		t.Errorf("it has changed:\n%s", diff)
	}
}
