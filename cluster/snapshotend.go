package cluster

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// snapshotEnd is the entry that the newest snapshot ends with, which Raft asks its log
// for and not its snapshot: the log may lack it, or have another there.
//
// A leader that was cut off has entries that were never committed. If the others send
// it a snapshot that ends among them, Raft (1.8.0) leaves them in place, and refuses
// whatever follows the snapshot, since the entry before that is another one in its
// log. It is sent the snapshot again, and so on
// (https://github.com/hashicorp/raft/issues/697). Nor would such a node start again,
// whose log isn't what its state was made of, and as a leader it could send entries that
// were never committed to one that lacks those of the snapshot.
type snapshotEnd struct {
	log       raft.LogStore
	snapshots raft.SnapshotStore

	mu    sync.Mutex
	index uint64 // 0: Raft has no snapshot
	term  uint64
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

// reached notes that Raft goes on from the newest snapshot.
func (s *snapshotEnd) reached() error {
	end, err := newestSnapshot(s.snapshots)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index, s.term = end.Index, end.Term
	return nil
}

// vouch spares Raft the look for the entry before those of rpc where the snapshot ends
// with it.
func (s *snapshotEnd) vouch(rpc raft.RPC) {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok || req.PrevLogEntry == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.PrevLogEntry == s.index && req.PrevLogTerm == s.term {
		req.PrevLogEntry, req.PrevLogTerm = 0, 0 // as before the first entry of all
	}
}
