package fsm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"pipesync/storage"
)

// FSM is the replicated state machine. Raft calls Apply, Snapshot and Restore
// from one goroutine; everything else may be called by any number. Close comes
// after raft has been shut down.
type FSM struct {
	opts      Options
	disk      disk
	snapshots *snapshotStore

	// applying is held while an entry is applied, so that there is a moment between
	// two. It guards what follows, which raft's goroutine alone changes otherwise.
	applying    sync.Mutex
	system      storage.System // as of the last applied entry
	checkpoints int            // made by this process

	flushing sync.Mutex    // one flush at a time: its return says that all is on disk
	flushDue chan struct{} // of capacity 1

	mu        sync.Mutex // guards what follows
	current   *handle
	restoring bool
	closed    bool
	applied   uint64
	term      uint64 // of the entry at applied
	waiters   []*waiter
}

// waitersMax bounds how many calls of WaitApplied may wait at once.
const waitersMax = 65_536

type waiter struct {
	index uint64
	done  chan error // receives once; of capacity 1
}

// Open opens the state in o.Dir, empty where there is none, and removes what an
// unfinished restore or snapshot left behind.
func Open(o Options) (*FSM, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("open state machine: %w", err)
	}
	f := &FSM{opts: o, flushDue: make(chan struct{}, 1)}
	f.disk = disk{o.FS, f.fatal}
	if err := f.open(); err != nil {
		if errors.Is(err, storage.ErrCorrupt) || errors.Is(err, ErrCorrupt) {
			err = fmt.Errorf("%w; %s", err, rotCure)
		}
		return nil, fmt.Errorf("open state machine: %w", err)
	}
	return f, nil
}

func (f *FSM) open() error {
	dir, err := openDir(f.disk, f.opts.Dir)
	if err != nil {
		return err
	}
	if f.snapshots, err = openSnapshots(f.disk, filepath.Join(f.opts.Dir, snapshotsName), f.opts.Logger); err != nil {
		return err
	}
	h, system, err := f.openHandle(dir, false)
	if err != nil {
		return err
	}
	if s := f.snapshots.newest(); s != nil && s.meta.Database == filepath.Base(dir) {
		h.sums.learn(s.meta.Header.Files)
	}
	f.current, f.system = h, system
	f.applied, f.term = system.AppliedIndex, system.AppliedTerm
	return nil
}

// Applied is the Raft index of the last entry in the state. Fenced entries
// never count, nor do those that raft keeps to itself.
func (f *FSM) Applied() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

// Position is Applied with the term of that entry.
func (f *FSM) Position() (index, term uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied, f.term
}

// WaitApplied returns nil when Applied() >= index. Otherwise its error matches
// the cause of ctx, ErrNotReady when a restore begins, or ErrClosed.
func (f *FSM) WaitApplied(ctx context.Context, index uint64) error {
	w, err := f.addWaiter(index)
	if w == nil || err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		f.dropWaiter(w)
		return fmt.Errorf("wait for entry %d to be applied: %w", index, context.Cause(ctx))
	}
}

// addWaiter returns nil where there is nothing to wait for.
func (f *FSM) addWaiter(index uint64) (*waiter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, ErrClosed
	case f.restoring:
		return nil, ErrNotReady
	case f.applied >= index:
		return nil, nil
	case len(f.waiters) >= waitersMax:
		return nil, fmt.Errorf("wait for entry %d to be applied: %d others are waiting", index, len(f.waiters))
	}
	w := &waiter{index: index, done: make(chan error, 1)}
	f.waiters = append(f.waiters, w)
	return w, nil
}

func (f *FSM) dropWaiter(w *waiter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake(func(other *waiter) bool { return other == w }, nil)
}

// wake ends the waiters that match, with err. The caller holds f.mu.
func (f *FSM) wake(match func(*waiter) bool, err error) {
	keep := f.waiters[:0]
	for _, w := range f.waiters {
		if match(w) {
			w.done <- err
			continue
		}
		keep = append(keep, w)
	}
	clear(f.waiters[len(keep):])
	f.waiters = keep
}

func everyWaiter(*waiter) bool { return true }

// publish tells the world that the entry which left s is applied.
func (f *FSM) publish(s storage.System) {
	f.system = s
	f.opts.Observe(s.AppliedIndex, s.ClusterTime)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setApplied(s)
}

// setApplied needs f.mu.
func (f *FSM) setApplied(s storage.System) {
	f.applied, f.term = s.AppliedIndex, s.AppliedTerm
	f.wake(func(w *waiter) bool { return w.index <= s.AppliedIndex }, nil)
}

// View returns a consistent view of the state, to be closed soon: it holds back
// the reclaiming of space. Errors match ErrNotReady or ErrClosed, or are
// storage's.
func (f *FSM) View() (*View, error) {
	h, err := f.acquire()
	if err != nil {
		return nil, err
	}
	v := &View{fsm: f, handle: h, snapshot: h.db.Snapshot()}
	if v.system, err = v.snapshot.System(); err != nil {
		v.Close()
		return nil, fmt.Errorf("open view: %w", err)
	}
	return v, nil
}

// PrepareLookups has made in the background what lets syncs find fast which of their records
// are there. The first sync does as well, and is slower until it is there.
func (f *FSM) PrepareLookups() error {
	h, err := f.acquire()
	if err != nil {
		return err
	}
	h.db.PrepareLookups()
	return f.release(h)
}

// Close flushes the state and ends all waiters. Views that are open stay usable;
// the directory is in use until the last of them is closed.
func (f *FSM) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	f.wake(everyWaiter, ErrClosed)
	h := f.current
	f.mu.Unlock()
	if err := errors.Join(h.db.Flush(), f.release(h)); err != nil {
		return fmt.Errorf("close state machine: %w", err)
	}
	return nil
}

// die doesn't return.
func (f *FSM) die(err error) {
	f.fatal(err)
	select {}
}
