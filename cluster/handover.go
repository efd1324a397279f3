package cluster

import (
	"context"
	"errors"

	"github.com/hashicorp/raft"
)

// errStands is the answer to a leader that hands over to a node which stands for election
// anyway.
var errStands = errors.New("this node stands for election already")

// handOver has Raft stand for election, as its leader wants. No heartbeat is handled from
// before Raft forgets that leader until the new term has begun.
//
// Raft (1.8.0) handles heartbeats beside its main loop. A candidate that was told to stand
// by TimeoutNow takes the leader of the old term from one (appendEntries asks for the flag
// candidateFromLeadershipTransfer, so as not to make it a follower), and into the new term:
// neither electSelf nor the candidate's timeout clears it. While it can't win, and the old
// leader is gone or has another address, it refuses everybody's pre-vote because it has a
// leader, until it is started anew. hashicorp/raft issue 695 is another race of heartbeats
// with the main loop.
//
// A candidate would have the flag without a new term, and take its leader from entries as
// well. It is left alone: the leader tries again.
func (b *backlog) handOver(ctx context.Context, rpc raft.RPC) {
	b.heartbeats <- struct{}{}
	defer func() { <-b.heartbeats }()
	if b.state() == raft.Candidate {
		rpc.Respond(nil, errStands)
		return
	}
	b.give(ctx, rpc)
	// Raft takes the next request when the new term has begun. This one does nothing: its
	// protocol is older than those that Raft takes.
	b.give(ctx, raft.RPC{Command: &raft.AppendEntriesRequest{}, RespChan: make(chan raft.RPCResponse, 1)})
}
