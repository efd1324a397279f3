package testcluster

import (
	"context"
	"errors"
	"testing"
)

// What is told of a check that never succeeds is what it said, not that it was cut off.
func TestAwaitTellsTheLastThatWasSaid(t *testing.T) {
	notReady, over := errors.New("not ready"), errors.New("the time is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	checks := 0
	err := Await(ctx, "a node", func(ctx context.Context) error {
		if checks++; checks == 3 {
			cancel(over)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return notReady
	})
	if !errors.Is(err, over) || !errors.Is(err, notReady) || checks < 3 {
		t.Errorf("after %d checks: %v", checks, err)
	}
}
