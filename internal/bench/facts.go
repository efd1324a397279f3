package main

import (
	"context"
	"fmt"
)

// fact is something that Pipesync alone is measured at.
type fact struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// AtMost is the target; nil: there is none.
	AtMost *float64 `json:"at_most,omitempty"`
}

func atMost(target float64, name string, value float64, unit string) fact {
	return fact{name, value, unit, &target}
}

// measureFacts does so in an order in which none is in the way of the next: the refresh
// removes what the others need.
func (b *bench) measureFacts(ctx context.Context) error {
	steps := []struct {
		doing string
		run   func(context.Context) ([]fact, error)
	}{
		{"killing the leader", func(ctx context.Context) ([]fact, error) { return b.ours.failover(ctx, b.failovers) }},
		{"a new node", b.ours.join},
		{"a full refresh", b.ours.refresh},
		{"a steady load", func(ctx context.Context) ([]fact, error) { return b.ours.steady(ctx, b.minutes, b.progress) }},
	}
	for _, s := range steps {
		fmt.Fprintln(b.progress, s.doing)
		facts, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.doing, err)
		}
		b.facts = append(b.facts, facts...)
	}
	return nil
}
