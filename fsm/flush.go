package fsm

import (
	"errors"
	"fmt"
)

// maxUnflushedBytes of applied entries make a flush due. What was applied since
// the last one is replayed from the log after a crash. Pebble flushes memtables
// by their own size, but an entry of unchanged records is long in the log and
// leaves next to nothing in a memtable.
const maxUnflushedBytes = 32 << 20

// FlushDue receives when maxUnflushedBytes have been applied since the last
// flush. Whoever listens calls Flush, and does so from time to time as well.
func (f *FSM) FlushDue() <-chan struct{} { return f.flushDue }

// Flush returns when everything applied before the call survives a crash. Any
// goroutine may call it; entries are applied meanwhile. It does nothing where
// nothing has been applied since the last flush, or while a restore runs, whose
// outcome is on disk.
func (f *FSM) Flush() error {
	h, err := f.acquire()
	if errors.Is(err, ErrNotReady) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("flush state machine: %w", err)
	}
	f.flushing.Lock()
	if h.unflushed.Load() > 0 {
		err = h.flush()
	}
	f.flushing.Unlock()
	if err := errors.Join(err, f.release(h)); err != nil {
		return fmt.Errorf("flush state machine: %w", err)
	}
	return nil
}

// flush is for those who hold h, and FSM.flushing.
func (h *handle) flush() error {
	n := h.unflushed.Swap(0) // what these are of has been committed
	err := h.db.Flush()
	if err != nil {
		h.unflushed.Add(n)
	}
	return err
}

// countUnflushed is told the size of each entry after its commit to h.
func (f *FSM) countUnflushed(h *handle, bytes int) {
	if h.unflushed.Add(int64(bytes)) < maxUnflushedBytes {
		return
	}
	select {
	case f.flushDue <- struct{}{}:
	default: // it is due already
	}
}
