package main

import (
	"math/rand/v2"
	"testing"
)

// Faults that last together are of two families, and the second begins without a leader,
// whom the first may have taken.
func TestBeside(t *testing.T) {
	n := &nemesis{rng: rand.New(rand.NewPCG(1, 1))}
	seconds := map[string]bool{}
	for _, f := range faults {
		for range 100 {
			g := n.beside(f, faults)
			if g == nil {
				if familyOf(f) >= 0 {
					t.Errorf("%s has a family, and nothing goes with it", f.kind)
				}
				break
			}
			seconds[g.kind] = true
			if familyOf(f) < 0 || familyOf(f) == familyOf(*g) || wantsLeader(*g) {
				t.Errorf("%s begins while %s lasts", g.kind, f.kind)
			}
		}
	}
	for _, kind := range []string{"kill of a member", "power lost by all", "member cut off"} {
		if !seconds[kind] {
			t.Errorf("%s never goes with another", kind)
		}
	}
	if g := n.beside(processFaults[0], processFaults); g != nil {
		t.Errorf("%s goes with one of its own family", g.kind)
	}
}
