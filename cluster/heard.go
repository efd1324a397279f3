package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// heard is who has shown itself to be the leader of the latest term, by its requests.
//
// Raft (1.8.0) names the leader of the last term in the next where a heartbeat of it comes
// late to a member that votes: heartbeats are handled beside Raft's main loop, which begins
// the next term after the heartbeat's was found to be the current one. handOver spares
// candidates that leadership is handed to from the same.
type heard struct {
	mu   sync.Mutex
	term uint64
	from raft.ServerID
}

// note looks at a request before Raft does.
func (h *heard) note(rpc raft.RPC) {
	var term uint64
	var header raft.RPCHeader
	switch req := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		term, header = req.Term, req.RPCHeader
	case *raft.InstallSnapshotRequest:
		term, header = req.Term, req.RPCHeader
	default:
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if term >= h.term {
		h.term, h.from = term, raft.ServerID(header.ID)
	}
}

// confirms says whether id has sent something as the leader of term.
func (h *heard) confirms(term uint64, id raft.ServerID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.term == term && h.from == id
}
