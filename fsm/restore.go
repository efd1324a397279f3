package fsm

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
	"pipesync/storage"
)

// Restore replaces the state by a snapshot, whose stream must be one of
// Snapshots(): not the stream is read, but the files are taken from where they
// are. While it runs there are no new views, and waiters end with ErrNotReady;
// views that are open keep the old state. The new database is complete, verified
// and on disk before CURRENT moves to it: an error before that leaves the old
// state in use, one in the move itself calls Options.Fatal. Restore closes stream
// in any case.
func (f *FSM) Restore(stream io.ReadCloser) error {
	err := f.restore(stream)
	if err := errors.Join(err, stream.Close()); err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	return nil
}

func (f *FSM) restore(stream io.ReadCloser) error {
	from, err := f.local(stream)
	if err != nil {
		return err
	}
	if err := f.beginRestore(); err != nil {
		return err
	}
	next, system, err := f.cloneNext(from)
	if err == nil {
		err = f.moveCurrent(next, system.ClusterVersion)
	}
	if err != nil {
		f.mu.Lock()
		f.restoring = false
		f.mu.Unlock()
		return err
	}
	if err := f.swap(next, system); err != nil {
		f.opts.Logger.Error("closing the database before the restore failed", "error", err)
	}
	return nil
}

// local finds the snapshot that stream, which raft may have wrapped, is of.
func (f *FSM) local(stream io.ReadCloser) (*keptSnapshot, error) {
	for {
		switch r := stream.(type) {
		case raft.ReadCloserWrapper:
			stream = r.WrappedReadCloser()
			continue
		case *snapshotReader:
			if r.store == f.snapshots {
				return r.of, nil
			}
		}
		return nil, fmt.Errorf("the stream is a %T, of another store", stream)
	}
}

func (f *FSM) beginRestore() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	f.restoring = true
	f.wake(everyWaiter, ErrNotReady)
	return nil
}

// cloneNext makes the database of the snapshot, opened, beside the current one.
// When it fails it leaves nothing behind.
func (f *FSM) cloneNext(from *keptSnapshot) (*handle, storage.System, error) {
	number, err := databaseNumber(filepath.Base(f.handle().dir))
	if err != nil {
		return nil, storage.System{}, err
	}
	dir := filepath.Join(f.opts.Dir, databaseName(number+1))
	if planted.Is(planted.HalfSwap) {
		_, _ = writeCurrent(f.disk, f.opts.Dir, filepath.Base(dir))
	}
	h, system, err := f.clone(from, dir)
	if err != nil {
		return nil, storage.System{}, errors.Join(err, f.disk.RemoveAll(dir))
	}
	return h, system, nil
}

func (f *FSM) clone(from *keptSnapshot, dir string) (*handle, storage.System, error) {
	header := &from.meta.Header
	if err := cloneFiles(f.disk, from.files(), dir, header.Files); err != nil {
		return nil, storage.System{}, fmt.Errorf("%s: %w", from.dir, err)
	}
	// Who restores a snapshot gets the log behind it next, and is no leader: a filter can wait.
	h, system, err := f.openHandle(dir, true)
	if err != nil {
		return nil, storage.System{}, err
	}
	if !header.matches(system) {
		err := fmt.Errorf("%s: %w: the database is at entry %d of term %d, its header says %d of %d",
			from.dir, ErrCorrupt, system.AppliedIndex, system.AppliedTerm, header.AppliedIndex, header.AppliedTerm)
		return nil, storage.System{}, errors.Join(err, h.db.Close())
	}
	h.sums.learn(header.Files)
	return h, system, nil
}

// moveCurrent makes next, of a cluster version, the database that the next Open
// finds.
func (f *FSM) moveCurrent(next *handle, version uint32) error {
	err := writeVersion(f.disk, f.opts.Dir, version)
	if err != nil {
		return errors.Join(err, next.db.Close(), f.disk.RemoveAll(next.dir))
	}
	moved, err := writeCurrent(f.disk, f.opts.Dir, filepath.Base(next.dir))
	if err == nil {
		return nil
	}
	if moved {
		f.die(fmt.Errorf("restore snapshot: move %s: %w", currentName, err))
	}
	return errors.Join(err, next.db.Close(), f.disk.RemoveAll(next.dir))
}

// swap puts next in the place of the current database, whose directory goes
// when its last view is closed. Its error is about the old database only.
func (f *FSM) swap(next *handle, system storage.System) error {
	f.applying.Lock()
	f.system = system
	f.mu.Lock()
	old := f.current
	old.replaced = true
	f.current = next
	f.restoring = false
	f.setApplied(system)
	f.mu.Unlock()
	f.applying.Unlock()
	f.opts.Restored()
	return f.release(old)
}
