package cluster

import (
	"context"
	"testing"
)

// The leader hands over, and one more of its heartbeats comes before the other's new term
// is written: it is not the leader of that.
func TestACandidateKnowsNoLeader(t *testing.T) {
	leader, next, f := newHeldPair(t)
	term := leader.Status().Term
	f.held.Store(true)
	handed := make(chan error, 1)
	ctx, cancel := context.WithCancel(leader.ctx())
	go func() { handed <- leader.TransferLeadership(ctx, "n2") }()
	<-f.writing
	eventually(t, "a heartbeat", func() bool { return knows(next, "n1") })
	next.links.sever("") // nobody hears that it wants votes
	f.held.Store(false)
	close(f.proceed)
	eventually(t, "the new term", func() bool { return next.Status().Term > term })
	if s := next.Status(); s.Term == term+1 && s.LeaderID != "" {
		t.Errorf("%s is said to lead in term %d: %+v", s.LeaderID, s.Term, s)
	}
	next.links.heal()
	cancel()
	<-handed
}

// knows says whether Raft has that node for the leader.
func knows(m *member, leader string) bool {
	c, err := m.running()
	if err != nil {
		return false
	}
	_, id := c.raft.LeaderWithID()
	return string(id) == leader
}
