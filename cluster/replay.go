package cluster

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// Survivor is a member that is all that is left of its cluster.
type Survivor struct {
	NodeID    string
	ClusterID string // of the cluster that it was a member of
	Term      uint64 // the latest that it has seen
}

// Replay brings sm up to the end of the log in dataDir, whose node must not run.
// That may apply entries which were never committed: without its quorum nobody can
// tell them from those that were, and whoever sent them was not told that they
// failed.
func Replay(dataDir string, sm StateMachine, fatal func(error)) (Survivor, error) {
	s, err := replay(dataDir, sm, fatal)
	if err != nil {
		return Survivor{}, fmt.Errorf("replaying the log: %w", err)
	}
	return s, nil
}

func replay(dataDir string, sm StateMachine, fatal func(error)) (_ Survivor, err error) {
	id, err := readIdentity(dataDir)
	if err != nil {
		return Survivor{}, err
	}
	if id.ClusterID == "" || id.Removed {
		return Survivor{}, fmt.Errorf("node %s is a member of no cluster", id.NodeID)
	}
	file, err := openBolt(filepath.Join(dataDir, raftDirName))
	if err != nil {
		return Survivor{}, err
	}
	snapshots := sm.Snapshots()
	store := newLogStore(file, fatal, floorOf(snapshots))
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := checkState(id, store, snapshots); err != nil {
		return Survivor{}, err
	}
	covered, err := checkStart(sm, store.log, snapshots)
	if err == nil && !covered {
		err = restoreNewest(sm, snapshots)
	}
	if err == nil {
		err = applyAll(sm, store.log)
	}
	if err != nil {
		return Survivor{}, err
	}
	term, err := store.variables.GetUint64([]byte(currentTermName))
	return Survivor{NodeID: id.NodeID, ClusterID: id.ClusterID, Term: term}, err
}

// restoreNewest restores the newest snapshot, if there is one.
func restoreNewest(sm StateMachine, snapshots raft.SnapshotStore) error {
	list, err := snapshots.List()
	if err != nil || len(list) == 0 {
		return err
	}
	_, stream, err := snapshots.Open(list[0].ID)
	if err != nil {
		return err
	}
	return sm.Restore(stream)
}

func applyAll(sm StateMachine, log raft.LogStore) error {
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	for index := max(first, sm.Applied()+1); index <= last; index++ {
		var e raft.Log
		if err := log.GetLog(index, &e); err != nil {
			return fmt.Errorf("reading entry %d: %w", index, err)
		}
		if e.Type == raft.LogCommand {
			sm.Apply(&e)
		}
	}
	return nil
}
