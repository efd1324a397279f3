package fsm

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestLastOperations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Ids that share their beginning, that end in zeros, and that differ behind eight bytes.
		begin := rapid.StringMatching(`[ab]{0,3}`).Draw(t, "begin")
		id := rapid.StringMatching("(a|b|\x00|aaaaaaaa|aaaaaaaab){1,3}")
		e := &syncEntry{memory: new(syncMemory)}
		newest := map[string]uint32{} // by namespace and id
		for i := range rapid.IntRange(0, 60).Draw(t, "operations") {
			ns := rapid.Uint32Range(0, 2).Draw(t, "namespace")
			op := Operation{ID: begin + id.Draw(t, "id")}
			e.Operations, e.nsOf = append(e.Operations, op), append(e.nsOf, ns)
			newest[fmt.Sprint(ns, op.ID)] = uint32(i)
		}
		var want []uint32
		for _, i := range newest {
			want = append(want, i)
		}
		slices.SortFunc(want, func(a, b uint32) int {
			return cmp.Or(cmp.Compare(e.nsOf[a], e.nsOf[b]), cmp.Compare(e.Operations[a].ID, e.Operations[b].ID))
		})
		if got := e.lastOperations(); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

func BenchmarkLastOperations5000(b *testing.B) {
	e := &syncEntry{memory: new(syncMemory), nsOf: make([]uint32, MaxOperations)}
	for i := range MaxOperations {
		e.Operations = append(e.Operations, Operation{ID: fmt.Sprintf("doc-%016x", uint64(i+1)*0x9e3779b97f4a7c15)})
	}
	for b.Loop() {
		e.lastOperations()
	}
}
