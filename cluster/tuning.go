package cluster

import (
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// What decides how fast Raft and its log are is exported from here for the bench's ceiling,
// which is to have the same.

// maxAppendEntries bounds group commit and an AppendEntries; its bytes are bounded by the
// transport.
const maxAppendEntries = 32

// RaftTuning is Raft's configuration, but for the name of the node and for timeouts that
// aren't the default.
func RaftTuning() *raft.Config {
	rc := raft.DefaultConfig()
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = defaultRaftTimeout, defaultRaftTimeout, defaultRaftTimeout
	rc.MaxAppendEntries = maxAppendEntries
	rc.TrailingLogs = firstTrailingEntries
	// Raft would count entries; snapshotByBytes counts bytes.
	rc.SnapshotThreshold = 1 << 62
	rc.NoLegacyTelemetry = true
	return rc
}

// TransportTuning is that of the transport between nodes, but for its connections.
func TransportTuning() *raft.NetworkTransportConfig {
	return &raft.NetworkTransportConfig{MaxPool: raftPooledConns, Timeout: raftIOTimeout}
}

// BoltTuning is that of the file that keeps the log.
func BoltTuning() *bbolt.Options {
	return &bbolt.Options{
		Timeout: boltOpenTimeout,
		// The free list of a log that is cut often is large, and is rebuilt
		// at open in less time than all the writes of it take.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	}
}
