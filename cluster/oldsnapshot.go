package cluster

import (
	"context"
	"io"

	"github.com/hashicorp/raft"
)

// A leader that has cut what a follower hasn't acknowledged yet from its log sends it a
// snapshot, and what it had sent before that may have arrived meanwhile. Raft (1.8.0)
// installs such a snapshot all the same, though it ends where the follower has applied
// more: its state would go back, and where its log no longer has what follows the
// snapshot, since it has a later one of its own, it would panic.

// outgrown says whether Raft has applied all of a snapshot that it is sent, by the leader
// whom it follows.
func (b *backlog) outgrown(ctx context.Context, req *raft.InstallSnapshotRequest) bool {
	// A request with nothing in it: Raft looks at the term, and has done what came before.
	answered := make(chan raft.RPCResponse, 1)
	probe := raft.RPC{RespChan: answered, Command: &raft.AppendEntriesRequest{RPCHeader: req.RPCHeader, Term: req.Term}}
	select {
	case b.to <- probe:
	case <-ctx.Done():
		return false
	}
	select {
	case answer := <-answered:
		resp, ok := answer.Response.(*raft.AppendEntriesResponse)
		return ok && answer.Error == nil && resp.Success && req.LastLogIndex <= b.applied()
	case <-ctx.Done():
		return false
	}
}

// decline has the leader go on behind a snapshot as if it were installed.
func decline(rpc raft.RPC, req *raft.InstallSnapshotRequest) {
	go func() {
		_, _ = io.Copy(io.Discard, rpc.Reader) // until the end of it or of the connection
		rpc.Respond(&raft.InstallSnapshotResponse{Term: req.Term, Success: true}, nil)
	}()
}
