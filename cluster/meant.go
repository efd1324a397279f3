package cluster

import (
	"io"

	"github.com/hashicorp/raft"
)

// What else Raft sends says which node is meant, too.

// RequestVote implements raft.Transport.
func (t *numberedTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, meant(id, target), args, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (t *numberedTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, meant(id, target), args, resp)
}

// InstallSnapshot implements raft.Transport.
func (t *numberedTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.NetworkTransport.InstallSnapshot(id, meant(id, target), args, resp, data)
}

// TimeoutNow implements raft.Transport.
func (t *numberedTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, meant(id, target), args, resp)
}
