package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pipesync/internal/testcluster"
)

// Two faults at once have an effect if both have, and are healed in turn, the second first.
func TestBoth(t *testing.T) {
	n1, n2 := &testcluster.Node{ID: "n1"}, &testcluster.Node{ID: "n2"}
	var healed []string
	begin := func(proof string, err error, on ...*testcluster.Node) begins {
		return func(context.Context, *nemesis) (*broken, error) {
			return &broken{on: on, proof: proof, heal: func(context.Context) error {
				healed = append(healed, proof)
				return nil
			}}, err
		}
	}
	b, err := both(begin("a", nil, n1), begin("b", nil, n2, n1))(t.Context(), nil)
	if err != nil || b.proof != "a; and b" || !slices.Equal(b.on, []*testcluster.Node{n1, n2}) {
		t.Errorf("%+v, %v", b, err)
	}
	if err := b.heal(t.Context()); err != nil || !slices.Equal(healed, []string{"b", "a"}) {
		t.Errorf("healed: %v, %v", healed, err)
	}
	if b, err := both(begin("a", nil), begin("", nil))(t.Context(), nil); err != nil || b.proof != "" {
		t.Errorf("without an effect of the second: %+v, %v", b, err)
	}
	healed = nil
	broke := errors.New("it broke")
	if _, err := both(begin("a", nil), begin("b", broke))(t.Context(), nil); !errors.Is(err, broke) || !slices.Equal(healed, []string{"a"}) {
		t.Errorf("an error of the second: %v, healed %v", err, healed)
	}
}
