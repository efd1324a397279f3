package fsm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// awaitWaiters returns when n calls wait for an entry.
func awaitWaiters(f *FSM, n int) {
	for {
		f.mu.Lock()
		waiting := len(f.waiters)
		f.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

func TestWaitApplied(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	var wg sync.WaitGroup
	wait := func(ctx context.Context, index uint64, want error) {
		wg.Go(func() {
			if err := r.fsm.WaitApplied(ctx, index); !errors.Is(err, want) {
				t.Errorf("wait for %d: %v, want %v", index, err, want)
			}
		})
	}
	cause := errors.New("the client went away")
	wait(t.Context(), 0, nil)
	wait(t.Context(), 10, nil)
	wait(t.Context(), 11, nil)
	wait(ctx, 1000, cause)
	awaitWaiters(r.fsm, 3)
	r.setUp(10) // entries 10 and 12
	awaitWaiters(r.fsm, 1)
	cancel(cause)
	awaitWaiters(r.fsm, 0)
	wait(t.Context(), 1000, ErrClosed)
	awaitWaiters(r.fsm, 1)
	r.close()
	wg.Wait()
	if err := r.fsm.WaitApplied(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := r.fsm.View(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestViewOutlivesClose(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	v := r.view()
	r.close()
	if got := readAll(t, v, "n"); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	v.Close()
	r.open()
}

// Refreshes write versions of a namespace, each wholly of one version and of a
// size of its own, and a restore goes back to an early one now and then: every
// view shows one version, whole.
func TestReadersNeverSeeAMixture(t *testing.T) {
	const versions, readers = 60, 3
	r := newRig(t)
	r.setUp(10_000)
	refresh := func(version int) {
		s := newSync(FullRefresh)
		for i := range 20 + version%7 {
			s.Operations = append(s.Operations, upsert("n", idOf(i), fmt.Sprint(version)))
		}
		r.mustApply(s)
	}
	refresh(0)
	early := r.snapshot()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					checkOneVersion(t, r.fsm)
				}
			}
		})
	}
	for version := 1; version <= versions; version++ {
		refresh(version)
		if version%20 == 0 {
			if err := r.restore(early); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	wg.Wait()
}

// checkOneVersion looks at a namespace page by page, as a client would.
func checkOneVersion(t *testing.T, f *FSM) {
	v, err := f.View()
	if errors.Is(err, ErrNotReady) {
		runtime.Gosched()
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer v.Close()
	info, _, err := v.Namespace(testOrg, testStore, "n")
	if err != nil {
		t.Error(err)
		return
	}
	records := readAll(t, v, "n")
	live := map[string]Record{}
	for _, rec := range records {
		live[rec.ID] = rec
		if string(rec.Data) != string(records[0].Data) || rec.Index > v.Applied() {
			t.Errorf("a mixture: %s=%s beside %s=%s", rec.ID, rec.Data, records[0].ID, records[0].Data)
			return
		}
	}
	var version int
	_, err = fmt.Sscan(string(records[0].Data), &version)
	if err != nil || len(records) != 20+version%7 || info.Records != uint64(len(records)) || info.Digest != modelDigest(live) {
		t.Errorf("version %d: %d records, said to be %d", version, len(records), info.Records)
	}
}
