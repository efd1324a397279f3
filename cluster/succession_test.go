package cluster

import (
	"errors"
	"testing"
)

// A leader that hangs holds a forward only until the next one is known: the outcome is
// open, and the node can ask.
func TestForwardEndsWithItsLeader(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	leader := leaderOf(t, all)
	via := followerOf(all, leader)
	admitting, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	leader.gate.set(func(g *testGate) {
		g.admit = func(body []byte) ([]byte, error) {
			close(admitting)
			<-release
			return nil, errors.New("it goes on")
		}
	})
	ended := make(chan error, 1)
	go func() {
		_, err := via.Propose(via.ctx(), []byte("hung"))
		ended <- err
	}()
	<-admitting
	if err := via.TransferLeadership(via.ctx(), via.name()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; class(t, err) != "unknown" || !errors.Is(err, errSucceeded) {
		t.Errorf("the leader hung, and another was elected: %v", err)
	}
}
