package fsm

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"pipesync/storage"
)

// Covers reads the header of a snapshot's stream and tells whether the state
// holds all that the snapshot holds. An error matches ErrCorrupt or
// ErrUnknownFormat where the header can't be read, and says so where the two
// are of different histories.
func (f *FSM) Covers(stream io.Reader) (bool, error) {
	header, err := readSnapshotHeader(bufio.NewReaderSize(stream, copyBufferBytes))
	if err != nil {
		return false, err
	}
	h, err := f.acquire()
	if err != nil {
		return false, err
	}
	system, err := h.db.System()
	if err := errors.Join(err, f.release(h)); err != nil {
		return false, err
	}
	return header.coveredBy(system)
}

// coveredBy compares indexes only within one history. Before bootstrap there is
// no epoch: the older of the two may lack it.
func (h *snapshotHeader) coveredBy(s storage.System) (bool, error) {
	covered := h.AppliedIndex <= s.AppliedIndex
	older := s.Epoch
	if covered {
		older = h.Epoch
	}
	switch {
	case h.Epoch != s.Epoch && older != (storage.Epoch{}):
		return false, fmt.Errorf("its epoch is %x, the state's is %x: they are of different histories", h.Epoch, s.Epoch)
	case h.AppliedIndex == s.AppliedIndex && h.AppliedTerm != s.AppliedTerm:
		return false, fmt.Errorf("it holds entry %d of term %d, the state has it of term %d: they are of different histories",
			h.AppliedIndex, h.AppliedTerm, s.AppliedTerm)
	}
	return covered, nil
}
