package cluster

import "github.com/hashicorp/raft"

// SetHeartbeatHandler implements raft.Transport. Heartbeats pass Raft's main loop by:
// handle runs on the connection's goroutine, which Raft doesn't wait for when it
// stops. One of a new term writes that down. So each is counted, and the log is
// closed when none is under way any more. None is handled while handOver is at work.
func (t *numberedTransport) SetHeartbeatHandler(handle func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		if !t.heartbeats.begin() {
			rpc.Respond(nil, raft.ErrRaftShutdown)
			return
		}
		defer t.heartbeats.end()
		t.backlog.heartbeats <- struct{}{}
		defer func() { <-t.backlog.heartbeats }()
		t.heard.note(rpc)
		handle(rpc)
	})
}
