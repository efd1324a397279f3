package cluster

import (
	"testing"

	"github.com/hashicorp/raft"
)

// A pipeline takes requests although nobody takes their answers, as Raft does
// when it has had one that is no success and hasn't noticed yet.
func TestPipelineNeedsNobodyToTakeAnswers(t *testing.T) {
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	follower := followerOf(all, leader)
	from, _ := leader.running()
	to, _ := follower.running()
	transport := &numberedTransport{NetworkTransport: from.transport, answers: newAnswers(), deliveries: newDeliveries(), followers: newReplication()}
	p, err := transport.AppendEntriesPipeline(to.self, raft.ServerAddress(follower.ports.peerAdvertise))
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		for range 10 {
			// Of a term that is over: no success.
			_, err := p.AppendEntries(&raft.AppendEntriesRequest{
				RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from.self), Addr: []byte(leader.ports.peerAdvertise)},
				Term:      1,
			}, new(raft.AppendEntriesResponse))
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	select {
	case err := <-sent:
		if err != nil {
			t.Error(err)
		}
	case <-leader.ctx().Done():
		t.Error("requests wait for somebody to take the answers of those before them")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
