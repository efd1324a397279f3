package upkeep

import (
	"context"
	"log/slog"
	"time"
)

// maxUnflushedTime bounds how long what has been applied stays in memory alone.
const maxUnflushedTime = 30 * time.Second

// flushable is the state machine, which knows no time.
type flushable interface {
	FlushDue() <-chan struct{} // by bytes
	Flush() error
}

// KeepFlushed flushes the state in the background until ctx is done, so that the
// replay after a crash is bounded. A failure is the storage's to tell: it ends
// the process.
func KeepFlushed(ctx context.Context, state flushable, log *slog.Logger) {
	tick := time.NewTicker(maxUnflushedTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-state.FlushDue():
		}
		if err := state.Flush(); err != nil {
			log.Error("flushing the state", "error", err)
		}
	}
}
