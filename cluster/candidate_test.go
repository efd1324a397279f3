package cluster

import (
	"context"
	"testing"
)

// The leader hands over, and one more of its heartbeats comes before the other's new term
// is written: it is not the leader of that, or the other would refuse every pre-vote in it.
func TestACandidateKnowsNoLeader(t *testing.T) {
	leader, next, f := newHeldPair(t)
	term := leader.Status().Term
	f.held.Store(true)
	handed := make(chan error, 1)
	ctx, cancel := context.WithCancel(leader.ctx())
	go func() { handed <- leader.TransferLeadership(ctx, "n2") }()
	<-f.writing
	c, err := next.running()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a heartbeat", func() bool {
		return knows(next, "n1") || c.backlog.isHandingOver() && c.heartbeats.isOpen()
	})
	next.links.sever("") // nobody hears that it wants votes
	f.held.Store(false)
	close(f.proceed)
	eventually(t, "the new term", func() bool { return next.Status().Term > term })
	if knows(next, "n1") {
		t.Errorf("n1, which handed over in term %d, leads in term %d", term, c.raft.CurrentTerm())
	}
	next.links.heal()
	cancel()
	<-handed
}

// isHandingOver says whether a heartbeat would have to wait.
func (b *backlog) isHandingOver() bool {
	return len(b.heartbeats) > 0
}

func (f *flights) isOpen() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open > 0
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
