package fsm

import (
	"errors"
	"fmt"
	"sync/atomic"

	"pipesync/storage"
)

// handle is an open database, counted: the state machine holds one reference
// while it is the current one, and each View one. The last release closes it.
type handle struct {
	db   *storage.DB
	dir  string
	refs int // guarded by FSM.mu
	// unflushed are the bytes of entries applied since the last flush. It is of this
	// database: a flush that still holds one which was replaced has nothing to say
	// about its successor.
	unflushed atomic.Int64
	sums      fileSums
	// replaced means that a restore put another database in its place: its
	// directory goes with the last reference. Guarded by FSM.mu.
	replaced bool
}

// openHandle opens a database; see storage.Options.Patient.
func (f *FSM) openHandle(dir string, patient bool) (*handle, storage.System, error) {
	db, err := storage.Open(dir, storage.Options{
		Logger:     f.opts.Logger,
		CacheBytes: f.opts.CacheBytes,
		Fatal:      f.fatal,
		Patient:    patient,

		FS:            f.opts.FS,
		MemtableBytes: f.opts.MemtableBytes,
	})
	if err != nil {
		return nil, storage.System{}, err
	}
	system, err := db.System()
	if err != nil {
		return nil, storage.System{}, errors.Join(err, db.Close())
	}
	return &handle{db: db, dir: dir, refs: 1}, system, nil
}

// handle returns the current database, for raft's goroutine: nobody else
// replaces it.
func (f *FSM) handle() *handle {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}

func (f *FSM) acquire() (*handle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, ErrClosed
	case f.restoring:
		return nil, ErrNotReady
	}
	f.current.refs++
	return f.current, nil
}

func (f *FSM) release(h *handle) error {
	f.mu.Lock()
	h.refs--
	last, replaced := h.refs == 0, h.replaced
	f.mu.Unlock()
	if !last {
		return nil
	}
	err := h.db.Close()
	if replaced {
		err = errors.Join(err, f.disk.RemoveAll(h.dir))
	}
	if err != nil {
		return fmt.Errorf("close database %s: %w", h.dir, err)
	}
	return nil
}
