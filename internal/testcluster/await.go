package testcluster

import (
	"context"
	"fmt"
	"time"
)

const pollInterval = 20 * time.Millisecond

// Await calls check until it returns nil or ctx is done; the error then has
// what was awaited and the last that check said.
func Await(ctx context.Context, what string, check func(context.Context) error) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("awaiting %s: %w; last: %w", what, context.Cause(ctx), err)
		}
	}
}
