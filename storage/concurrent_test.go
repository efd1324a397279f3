package storage

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestReadersSeeWholeBatches has readers look through snapshots while a writer
// commits, memtables are flushed and checkpoints made: each sees the state
// after some batch, and none an older one than it saw before.
func TestReadersSeeWholeBatches(t *testing.T) {
	const batches, readers = 60, 3
	base := t.TempDir()
	db := openTemp(t, Options{MemtableBytes: 256 << 10})
	var done atomic.Bool
	var wg sync.WaitGroup
	errs := make(chan error, readers+1)
	for range readers {
		wg.Go(func() {
			last := uint64(0)
			for !done.Load() {
				n, err := snapshotPrefix(db)
				if err == nil && n < last {
					err = fmt.Errorf("batch %d seen after %d", n, last)
				}
				if err != nil {
					errs <- err
					return
				}
				last = n
			}
		})
	}
	wg.Go(func() {
		for i := 0; !done.Load(); i++ {
			err := errors.Join(db.Flush(), db.Checkpoint(fmt.Sprintf("%s/%d", base, i)))
			if err != nil {
				errs <- err
				return
			}
			_ = db.Metrics()
		}
	})
	pad := make([]byte, 10<<10)
	for n := uint64(1); n <= batches; n++ {
		crashBatch(t, db, n, pad)
	}
	done.Store(true)
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if got := verifyPrefix(t, db); got != batches {
		t.Errorf("at %d after %d batches", got, batches)
	}
}

// snapshotPrefix verifies a snapshot on a goroutine that isn't the test's.
func snapshotPrefix(db *DB) (n uint64, err error) {
	s := db.Snapshot()
	defer func() { err = errors.Join(err, s.Close()) }()
	defer func() {
		if p, ok := recover().(failure); ok {
			err = p
		}
	}()
	return verifyPrefix(failing{}, s), nil
}

// failing is a tester that panics with a failure.
type failing struct{}

type failure struct{ error }

func (failing) Helper()           {}
func (failing) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }
