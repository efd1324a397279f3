package testcluster

import (
	"context"
	"fmt"
	"time"
)

const pollInterval = 20 * time.Millisecond

// Await calls check until it returns nil or ctx is done; the error then has
// what was awaited and the last that check said while there was time.
func Await(ctx context.Context, what string, check func(context.Context) error) error {
	return AwaitEvery(ctx, what, pollInterval, check)
}

// AwaitEvery is Await for those to whom it matters when that was.
func AwaitEvery(ctx context.Context, what string, every time.Duration, check func(context.Context) error) error {
	poll := time.NewTicker(every)
	defer poll.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // after that it only says that the time is over
			last = err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("awaiting %s: %w; last: %w", what, context.Cause(ctx), last)
		}
	}
}
