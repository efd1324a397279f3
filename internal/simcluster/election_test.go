package simcluster

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

const (
	// electionTimeout is the default of cluster.Config.
	electionTimeout = 500 * time.Millisecond
	// soonElected is how long after the end of a leader's process the next one leads, in
	// the middle: the timeout, the turn of the follower who is needed, and the election. By
	// Raft's own random timeouts it would be twice the timeout.
	soonElected = electionTimeout * 3 / 2
	killings    = 9
)

// Where a leader's process is gone, the others don't wait for more than the timeout.
func TestALeaderThatIsGoneIsReplacedSoon(t *testing.T) {
	dir := home(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, dir, newCounts())
		if err := w.form(3); err != nil {
			t.Fatal(err)
		}
		var took []time.Duration
		for range killings {
			gone := w.leader()
			gone.crash(100)
			died := time.Now()
			for w.leader() == nil {
				time.Sleep(time.Millisecond)
			}
			took = append(took, time.Since(died))
			if err := gone.start(); err != nil {
				t.Fatal(err)
			}
			w.recovered()
		}
		slices.Sort(took)
		if median := took[killings/2]; median > soonElected {
			t.Errorf("another one leads after %v in the middle, want %v at most: %v", median, soonElected, took)
		}
		w.end()
	})
}

// A leader whom a follower doesn't reach, as a firewall refuses the connection, leads on: the
// other one hears it.
func TestARefusalDeposesNobody(t *testing.T) {
	dir := home(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, dir, newCounts())
		if err := w.form(3); err != nil {
			t.Fatal(err)
		}
		leader := w.leader()
		term := leader.running().node.Status().Term
		follower := w.all()[0]
		if follower == leader {
			follower = w.all()[1]
		}
		routes := between([]string{leader.name}, []string{follower.name})
		w.net.refuse(routes, 1)
		w.net.reset(routes)
		time.Sleep(40 * electionTimeout)
		if s := follower.running().node.Status(); s.LeaderID != "" {
			t.Errorf("it was to miss its leader: %+v", s)
		}
		if now := leader.running().node.Status(); w.leader() != leader || now.Term != term {
			t.Errorf("a leader that a majority hears was deposed: %+v", now)
		}
		w.net.refuse(routes, -1)
		w.recovered()
		w.end()
	})
}
