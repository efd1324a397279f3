package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// startCure ends the message of every refusal to start: what disagrees had been
// acknowledged, and no part of it can tell which part is right.
const startCure = "remove the member from its cluster, reseed it (pipesync reseed) and have it join again"

// refuseForeign refuses a directory with snapshots beside the log. The state
// machine keeps them, so that no snapshot there would ever be looked at.
func refuseForeign(dir string) error {
	path := filepath.Join(dir, "snapshots")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("opening the log: %s holds snapshots of another version of this program, which it can't read; %s", path, startCure))
	}
	return nil
}

// checkStart compares what the node has on its disk: the log, the newest
// snapshot, and the state machine. Nothing that Raft does later would notice that
// they are not of one history. It refuses to start on one that is not, and tells
// whether the state machine holds all that the snapshot holds already.
func checkStart(sm StateMachine, log raft.LogStore, snapshots raft.SnapshotStore) (covered bool, err error) {
	list, err := snapshots.List()
	if err != nil {
		return false, fmt.Errorf("listing the snapshots: %w", err)
	}
	var snapshot uint64 // index; 0: none
	if len(list) > 0 {
		snapshot = list[0].Index
		if covered, err = covers(sm, snapshots, list[0].ID); err != nil {
			return false, fmt.Errorf("comparing the state with snapshot %s: %w; %s", list[0].ID, err, startCure)
		}
	}
	first, err := log.FirstIndex()
	if err != nil {
		return false, fmt.Errorf("reading the log: %w", err)
	}
	last, err := log.LastIndex()
	if err != nil {
		return false, fmt.Errorf("reading the log: %w", err)
	}
	if last > snapshot && first > snapshot+1 {
		return false, fmt.Errorf("the log begins with entry %d, and no snapshot holds the entries from %d on; %s", first, snapshot+1, startCure)
	}
	return covered, checkApplied(sm, log, first, last, snapshot)
}

// checkApplied makes sure that the state was made by this log.
func checkApplied(sm StateMachine, log raft.LogStore, first, last, snapshot uint64) error {
	applied, term := sm.Position()
	if applied > max(last, snapshot) {
		return fmt.Errorf("the state has applied entry %d, but the log ends at %d and the newest snapshot at %d: entries are lost, or the files are of different moments; %s",
			applied, last, snapshot, startCure)
	}
	if applied == 0 || applied < first || applied > last {
		return nil
	}
	var e raft.Log
	switch err := log.GetLog(applied, &e); {
	case errors.Is(err, raft.ErrLogNotFound):
		return nil // cut off behind the snapshot
	case err != nil:
		return fmt.Errorf("reading the entry that was applied last: %w", err)
	case e.Term != term:
		return fmt.Errorf("the state has applied entry %d of term %d, but the log has it of term %d: they are of different histories; %s",
			applied, term, e.Term, startCure)
	}
	return nil
}

// covers asks the state machine whether it holds all that a snapshot holds.
func covers(sm StateMachine, snapshots raft.SnapshotStore, id string) (bool, error) {
	_, stream, err := snapshots.Open(id)
	if err != nil {
		return false, err
	}
	covered, err := sm.Covers(stream)
	return covered, errors.Join(err, stream.Close())
}
