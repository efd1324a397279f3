package cluster

import (
	"errors"
	"io"
	"syscall"

	"github.com/hashicorp/raft"
)

// What else Raft sends says which node is meant, too.

// RequestVote implements raft.Transport.
func (t *numberedTransport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return pastStale(func() error { return t.NetworkTransport.RequestVote(id, meant(id, target), args, resp) })
}

// RequestPreVote implements raft.WithPreVote.
func (t *numberedTransport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return pastStale(func() error { return t.NetworkTransport.RequestPreVote(id, meant(id, target), args, resp) })
}

// InstallSnapshot implements raft.Transport.
func (t *numberedTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.NetworkTransport.InstallSnapshot(id, meant(id, target), args, resp, t.sending.to(id, data, args.Size))
}

// TimeoutNow implements raft.Transport.
func (t *numberedTransport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return pastStale(func() error { return t.NetworkTransport.TimeoutNow(id, meant(id, target), args, resp) })
}

// pastStale sends a request again where the connection for it has ended. Raft's transport
// keeps some open that it uses rarely, and doesn't notice when the other side ends them, as it
// does when it was started anew, or trusts a CA no longer. A vote that isn't asked for
// costs an election timeout. Whoever has got the request the first time takes the
// second for the same.
func pastStale(send func() error) error {
	var err error
	for range raftPooledConns + 1 {
		if err = send(); !isEnded(err) {
			return err
		}
	}
	return err
}

// isEnded says that the other side has ended the connection.
func isEnded(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
