package cluster

import "testing"

// A candidate asks for votes although all connections that it had for that have ended.
func TestVotesAreAskedForPastStaleConnections(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	for _, candidate := range []*member{all[1], all[2], all[1]} {
		leader := leaderOf(t, all)
		candidate.mustPropose("so that the leader is established")
		eventually(t, "the candidate to have all", func() bool {
			return candidate.Status().LastLogIndex == leader.Status().LastLogIndex
		})
		before := leader.Status().Term
		for _, m := range without(all, candidate) {
			m.mux.closeConns(func(c *peerConn) bool { return c.kind == kindRaft && c.peer.NodeID == candidate.name() })
		}
		c, err := candidate.running()
		if err != nil {
			t.Fatal(err)
		}
		c.campaign()
		eventually(t, candidate.name()+" to lead", func() bool { return candidate.Status().Role == RoleLeader })
		if term := candidate.Status().Term; term != before+1 {
			t.Errorf("%s leads in term %d, and stood for election in %d", candidate.name(), term, before+1)
		}
	}
}
