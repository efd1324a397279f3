package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// snapshotEnd is where the log goes on from a snapshot. Raft (1.8.0) asks its log alone
// for the entry before those that it is sent, which the log may lack, or have another in
// its place.
//
// A leader that was cut off has entries that were never committed. If the others send
// it a snapshot that ends among them, Raft leaves them in place, and refuses
// whatever follows the snapshot, since the entry before that is another one in its
// log. It is sent the snapshot again, and so on
// (https://github.com/hashicorp/raft/issues/697). Nor would such a node start again,
// whose log isn't what its state was made of, and as a leader it could send entries that
// were never committed to one that lacks those of the snapshot.
type snapshotEnd struct {
	log       raft.LogStore
	snapshots raft.SnapshotStore
}

// cut removes from the log what the newest snapshot, which is on the disk and about to be
// restored, contradicts. What follows there stays as long as Raft knows of it: nobody
// commits it, and Raft replaces it by what follows the snapshot.
func (s *snapshotEnd) cut() error {
	end, err := newestSnapshot(s.snapshots)
	if err != nil || end.Index == 0 {
		return err
	}
	var e raft.Log
	err = s.log.GetLog(end.Index, &e)
	if errors.Is(err, raft.ErrLogNotFound) || err == nil && e.Term == end.Term {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the entry that the snapshot ends with: %w", err)
	}
	first, err := s.log.FirstIndex()
	if err == nil {
		err = s.log.DeleteRange(first, end.Index)
	}
	if err != nil {
		return fmt.Errorf("cutting the log that the snapshot contradicts: %w", err)
	}
	return nil
}

// vouch spares Raft the look for the entry before those of a request that the log lacks,
// since a snapshot has it: all that is applied is the same at every leader to come.
// applied is how far Raft has come, or had a moment ago.
func (s *snapshotEnd) vouch(req *raft.AppendEntriesRequest, applied uint64) {
	if req.PrevLogEntry == 0 || req.PrevLogEntry > applied {
		return
	}
	var e raft.Log
	if err := s.log.GetLog(req.PrevLogEntry, &e); !errors.Is(err, raft.ErrLogNotFound) {
		return // Raft will see for itself
	}
	known := 0
	for known < len(req.Entries) && req.Entries[known].Index <= applied {
		known++
	}
	req.Entries = req.Entries[known:]
	req.PrevLogEntry, req.PrevLogTerm = 0, 0 // as before the first entry of all
}
