package cluster

import (
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// skimmedBytes is how large an entry has to be for a start to skim it. Configurations are
// smaller by far.
const skimmedBytes = 64 << 10

// outliner is a LogFile that can tell of an entry, without reading all of it, how many bytes it
// has as it is stored and whether it is a command. It need not tell of all commands.
type outliner interface {
	outline(index uint64) (storedBytes int64, command bool, err error)
}

// startScan is the log as Raft gets it. When Raft starts it goes through all entries behind
// the last snapshot, one after the other, and looks for configurations: it needs no more of
// a command than that it is one. Of a large command that the state has applied already it
// is told only that. Later Raft reads the same entries once more, as it applies them, and
// whether they are as they were written is seen then.
//
// The scan also counts what an earlier process has appended behind the last snapshot.
type startScan struct {
	raft.LogStore
	file    outliner // nil: all is read
	metered *meteredLog

	next    atomic.Uint64 // of the scan; 0: it has ended
	skimmed uint64        // the last entry that may be
}

func newStartScan(log raft.LogStore, file LogFile, metered *meteredLog) *startScan {
	s := &startScan{LogStore: log, metered: metered}
	s.file, _ = file.(outliner)
	return s
}

// begin comes before Raft's start, end after it. The state has applied this log up to an
// entry. Of the log's last entry Raft needs more.
func (s *startScan) begin(snapshot, applied uint64) error {
	last, err := s.LastIndex()
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	s.skimmed = min(applied, max(last, 1)-1)
	s.next.Store(snapshot + 1)
	return nil
}

func (s *startScan) end() { s.next.Store(0) }

// IsMonotonic implements raft.MonotonicLogStore.
func (s *startScan) IsMonotonic() bool {
	log, ok := s.LogStore.(raft.MonotonicLogStore)
	return ok && log.IsMonotonic()
}

// GetLog skims an entry once at most: in the scan, which goes through each of them once, in
// their order, and is over before Raft runs.
func (s *startScan) GetLog(index uint64, e *raft.Log) error {
	if !s.next.CompareAndSwap(index, index+1) {
		return s.LogStore.GetLog(index, e)
	}
	if storedBytes := s.skim(index); storedBytes > 0 {
		*e = raft.Log{Index: index, Type: raft.LogCommand}
		s.metered.countBytes(storedBytes, 1)
		return nil
	}
	err := s.LogStore.GetLog(index, e)
	if err == nil {
		s.metered.count(e)
	}
	return err
}

// skim returns 0 for an entry that has to be read.
func (s *startScan) skim(index uint64) (storedBytes int64) {
	if s.file == nil || index > s.skimmed {
		return 0
	}
	storedBytes, command, err := s.file.outline(index)
	if err != nil || !command || storedBytes < skimmedBytes {
		return 0 // whatever that is, reading it tells
	}
	return storedBytes
}
