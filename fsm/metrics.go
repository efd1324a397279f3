package fsm

import (
	"fmt"

	"pipesync/storage"
)

// Metrics are figures of the state at one moment.
type Metrics struct {
	Storage storage.Metrics
	// UnflushedBytes of entries have been applied since the last flush: a crash has
	// them applied again, from the log.
	UnflushedBytes int64
}

// Metrics touches no disk. Its error matches ErrNotReady while a snapshot takes the
// place of the state, or ErrClosed.
func (f *FSM) Metrics() (Metrics, error) {
	h, err := f.acquire()
	if err != nil {
		return Metrics{}, fmt.Errorf("measure the state: %w", err)
	}
	m := Metrics{Storage: h.db.Metrics(), UnflushedBytes: max(h.unflushed.Load(), 0)}
	if err := f.release(h); err != nil {
		return Metrics{}, fmt.Errorf("measure the state: %w", err)
	}
	return m, nil
}
