package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// countedFlushes is a state that counts.
type countedFlushes struct {
	due     chan struct{}
	flushes atomic.Int32
}

func (c *countedFlushes) FlushDue() <-chan struct{} { return c.due }
func (c *countedFlushes) Flush() error {
	c.flushes.Add(1)
	return errors.New("told, and gone on after")
}

func TestStateIsFlushedByTimeAndBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := &countedFlushes{due: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			KeepFlushed(ctx, state, slog.New(slog.DiscardHandler))
		}()
		expect := func(when string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := state.flushes.Load(); got != want {
				t.Errorf("%s: %d flushes, want %d", when, got, want)
			}
		}
		expect("at the start", 0)
		time.Sleep(maxUnflushedTime)
		expect("by time", 1)
		state.due <- struct{}{}
		expect("by bytes", 2)
		time.Sleep(2 * maxUnflushedTime)
		expect("by time again", 4)
		cancel()
		<-done
	})
}
