package cluster

import (
	"testing"

	"github.com/hashicorp/raft"
)

// Who led the last term isn't the leader of this one, whatever Raft says, until it sends
// something in it; and what it sends late takes nothing from the one that does.
func TestHeard(t *testing.T) {
	var h heard
	from := func(term uint64, id string) raft.RPC {
		return raft.RPC{Command: &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ID: []byte(id)}, Term: term}}
	}
	h.note(from(3, "n3"))
	if !h.confirms(3, "n3") || h.confirms(4, "n3") || h.confirms(3, "n2") {
		t.Error("of term 3 it knows another than n3, or n3 of another")
	}
	h.note(raft.RPC{Command: &raft.InstallSnapshotRequest{RPCHeader: raft.RPCHeader{ID: []byte("n2")}, Term: 4}})
	h.note(from(3, "n3"))
	h.note(raft.RPC{Command: &raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ID: []byte("n1")}, Term: 5}})
	if !h.confirms(4, "n2") || h.confirms(3, "n3") {
		t.Error("of term 4 it knows another than n2")
	}
}

// A follower names a leader that Raft names, and no other has shown itself to be.
func TestLeaderHasToShowItself(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 2)
	follower := followerOf(all, leaderOf(t, all))
	c, err := follower.running()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a leader that isn't of the term to be named no more", func() bool {
		c.heard.mu.Lock()
		c.heard.term-- // until the next heartbeat
		c.heard.mu.Unlock()
		return follower.Status().LeaderID == ""
	})
	eventually(t, "the leader to show itself", func() bool { return follower.Status().LeaderID != "" })
}
