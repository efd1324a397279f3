package cluster

import (
	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
)

// SetHeartbeatHandler implements raft.Transport. Raft has heartbeats pass its main loop by:
// handle runs on the connection's goroutine, which Raft doesn't wait for when it stops. It
// may write the term down. So each is counted, and the log is closed when none is under way
// any more. None is handled while handOver is at work.
func (t *numberedTransport) SetHeartbeatHandler(handle func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		if !t.heartbeats.begin() {
			rpc.Respond(nil, raft.ErrRaftShutdown)
			return
		}
		defer t.heartbeats.end()
		t.heard.note(rpc)
		t.backlog.heartbeat(rpc, handle)
	})
}

// heartbeat has a heartbeat handled beside Raft's main loop where it tells nothing new, and
// in its turn by the main loop where it may change the term or the state.
//
// Raft (1.8.0) would handle all of them beside it. A leader waits for what comes first, and
// hears of no change meanwhile: one of a newer term has it write what is proposed next into
// its log as of that term, which another leads. Others have other entries at these indexes,
// of the same term, so that nobody sees the difference, and what it lacks of theirs it never
// applies (hashicorp/raft issue 695).
func (b *backlog) heartbeat(rpc raft.RPC, handle func(raft.RPC)) {
	b.heartbeats <- struct{}{}
	beside := b.tellsNothing(rpc) || planted.Is(planted.HeartbeatsBeside)
	if beside {
		handle(rpc)
	}
	<-b.heartbeats
	if beside {
		return
	}
	select {
	case b.turned <- rpc:
	case <-b.ended:
		rpc.Respond(nil, raft.ErrRaftShutdown)
	}
}

// tellsNothing says that a heartbeat is of the leader whose follower this node is. Should it
// stand for election right then, its term is newer, or will be, than the heartbeat's.
func (b *backlog) tellsNothing(rpc raft.RPC) bool {
	select {
	case <-b.began:
	default:
		return false
	}
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	return ok && b.state() == raft.Follower && req.Term == b.term()
}
