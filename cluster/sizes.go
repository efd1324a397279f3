package cluster

import (
	"os"
	"path/filepath"
)

// Sizes are bytes that this node keeps.
type Sizes struct {
	LogFile int64 // raft.db, which never shrinks while the node runs
	// LogSinceSnapshot has been logged since the newest snapshot, and brings the next
	// at 256 MiB.
	LogSinceSnapshot int64
	// Snapshot is the newest one as it is sent; on the disk it shares files with the
	// state. SnapshotIndex is its last entry; both are 0 where there is none.
	Snapshot      int64
	SnapshotIndex uint64
}

// Sizes are this node's now; in no cluster all but LogFile are 0.
func (n *Node) Sizes() Sizes {
	var s Sizes
	if info, err := os.Stat(filepath.Join(n.cfg.DataDir, raftDirName, logFileName)); err == nil {
		s.LogFile = info.Size()
	}
	c, err := n.running()
	if err != nil {
		return s
	}
	s.LogSinceSnapshot = c.store.metered.bytes.Load()
	if list, err := c.progress.Snapshots().List(); err == nil && len(list) > 0 {
		s.SnapshotIndex, s.Snapshot = list[0].Index, list[0].Size
	}
	return s
}
