package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"pipesync/internal/durable"
)

// currentTermName is Raft's name of the variable with its term.
const currentTermName = "CurrentTerm"

// Seed is a node that begins a cluster of its own with a state that it already
// has: a snapshot, with this node as the only voter, that its state machine keeps.
type Seed struct {
	NodeID    string
	ClusterID string
}

// NewSeed mints a cluster id, and a node id where nodeID is empty.
func NewSeed(nodeID string) (Seed, error) {
	s := Seed{NodeID: cmp.Or(nodeID, newNodeID()), ClusterID: NewClusterID()}
	if err := checkID("node id", s.NodeID); err != nil {
		return Seed{}, fmt.Errorf("seeding a cluster: %w", err)
	}
	return s, nil
}

// Plant makes a log in dataDir that goes on behind a snapshot of the term, and writes
// down who the node is. It is the last step: before it, the directory is no node's.
func (s Seed) Plant(dataDir string, term uint64) error {
	if err := s.plant(dataDir, term); err != nil {
		return fmt.Errorf("seeding a cluster: %w", err)
	}
	return nil
}

func (s Seed) plant(dataDir string, term uint64) error {
	dir := filepath.Join(dataDir, raftDirName)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s is there already", dir))
	}
	if err := durable.MakeDir(dir); err != nil {
		return err
	}
	file, err := openBolt(dir)
	if err != nil {
		return err
	}
	store := newLogStore(file, func(error) {}, func() (uint64, error) { return 0, nil })
	// Without it Raft would begin with term 1, below that of its snapshot.
	err = store.variables.SetUint64([]byte(currentTermName), term)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return identity{Format: identityFormat, NodeID: s.NodeID, ClusterID: s.ClusterID}.save(dataDir)
}
