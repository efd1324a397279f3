package cluster

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
)

// A leader hands over while one of its heartbeats is handled: that one ends first, and the
// next waits until Raft has taken one more request, which is when the new term has begun.
func TestHandingOverWaitsForHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeldBack(t)
		h.b.heartbeats <- struct{}{}
		h.from <- raft.RPC{Command: &raft.TimeoutNowRequest{}, RespChan: h.answers}
		synctest.Wait()
		select {
		case rpc := <-h.b.to:
			t.Errorf("passed %T beside a heartbeat", rpc.Command)
		default:
		}
		<-h.b.heartbeats
		if rpc := <-h.b.to; !isTimeoutNow(rpc) || !h.b.isHandingOver() {
			t.Errorf("passed %T, heartbeats held: %t", rpc.Command, h.b.isHandingOver())
		}
		next := <-h.b.to
		if req, ok := next.Command.(*raft.AppendEntriesRequest); !ok || req.ProtocolVersion != 0 {
			t.Errorf("the next request would be heeded: %T %+v", next.Command, next.Command)
		}
		next.Respond(nil, raft.ErrUnsupportedProtocol)
		synctest.Wait()
		if h.b.isHandingOver() {
			t.Error("heartbeats are held for ever")
		}
	})
}

// A candidate would keep the leader of its term into the next.
func TestNobodyHandsOverToACandidate(t *testing.T) {
	h := newHeldBack(t)
	h.raftState.Store(uint32(raft.Candidate))
	h.from <- raft.RPC{Command: &raft.TimeoutNowRequest{}, RespChan: h.answers}
	select {
	case rpc := <-h.b.to:
		t.Errorf("passed %T", rpc.Command)
	case answer := <-h.answers:
		if !errors.Is(answer.Error, errStands) {
			t.Errorf("answered %+v", answer)
		}
	}
	h.wantHeld() // and all else goes on
}

func isTimeoutNow(rpc raft.RPC) bool {
	_, ok := rpc.Command.(*raft.TimeoutNowRequest)
	return ok
}
