package cluster

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// clocked gives each member of a test a clock that is so far ahead.
func clocked(ahead map[string]time.Duration) func(*Config) {
	return func(c *Config) { c.Clocks = NewClocks(aheadClock(ahead[c.NodeID])) }
}

// aheadClock is the machine's clock, moved.
type aheadClock time.Duration

func (a aheadClock) Monotonic() time.Duration { return processClock{}.Monotonic() }
func (a aheadClock) Wall() time.Time          { return time.Now().Add(time.Duration(a)) }

func TestALeaderWithAWrongClockHandsOver(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3, clocked(map[string]time.Duration{"n1": -time.Hour}))
	wrong := all[0]
	eventually(t, "another leader", func() bool {
		s := all[1].Status()
		return s.LeaderID != "" && s.LeaderID != wrong.name()
	})
	eventually(t, "all to know whose clock is wrong", func() bool {
		for _, m := range all {
			s := m.Status()
			if s.ClockSkewed != (m == wrong) {
				return false
			}
			members, err := m.Members()
			if err != nil {
				t.Fatal(err)
			}
			for _, member := range members {
				if !member.ClockKnown || skewed(member.ClockOffset) != (member.ID == wrong.name()) {
					return false
				}
			}
		}
		return true
	})
	if off := time.Until(wrong.cfg.Clocks.Wall()); off < -time.Minute {
		t.Errorf("it still tells a time that is %v off", off)
	}
}

// Of two that disagree nobody knows who is wrong: the leader stays, and both say so.
func TestTwoClocksThatDisagree(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 2, clocked(map[string]time.Duration{"n1": 2 * time.Minute}))
	eventually(t, "both to be skewed", func() bool { return all[0].Status().ClockSkewed && all[1].Status().ClockSkewed })
	n := all[0]
	c, err := n.running()
	if err != nil || !n.mustNotLead(c) {
		t.Fatalf("the leader doesn't know: %v", err)
	}
	n.giveUpLeading(n.ctx(), c, nil)
	if s := n.Status(); s.Role != RoleLeader {
		t.Errorf("it handed over to the other: %+v", s)
	}
}

// testAuditor finds wrong what it is told to.
type testAuditor struct {
	mu    sync.Mutex
	wrong string
	heard map[string]string // the reports of the last exchange, by id
	name  string
}

func (a *testAuditor) Report() []byte { return fmt.Appendf(nil, "%q", "report of "+a.name) }

func (a *testAuditor) Compare(self string, members map[string]bool, reports map[string][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard = map[string]string{}
	for id, r := range reports {
		if _, is := members[id]; is && id != self {
			a.heard[id] = string(r)
		}
	}
}

func (a *testAuditor) Diverged(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return id == a.wrong
}

func TestALeaderWithAWrongStateHandsOver(t *testing.T) {
	t.Parallel()
	auditors := map[string]*testAuditor{}
	all := newCluster(t, 3, func(c *Config) {
		a := &testAuditor{name: c.NodeID}
		auditors[c.NodeID], c.Auditor = a, a
	})
	eventually(t, "all to have heard all others", func() bool {
		for id, a := range auditors {
			a.mu.Lock()
			heard := len(a.heard)
			for other, report := range a.heard {
				if other == id || report != fmt.Sprintf("%q", "report of "+other) {
					t.Errorf("%s heard %s of %s", id, report, other)
				}
			}
			a.mu.Unlock()
			if heard != 2 {
				return false
			}
		}
		return true
	})
	wrong := leaderOf(t, all)
	for _, a := range auditors {
		a.mu.Lock()
		a.wrong = wrong.name()
		a.mu.Unlock()
	}
	eventually(t, "another leader", func() bool {
		s := followerOf(all, wrong).Status()
		return s.LeaderID != "" && s.LeaderID != wrong.name()
	})
	members, err := wrong.Members()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.Diverged != (m.ID == wrong.name()) {
			t.Errorf("member %+v", m)
		}
	}
}
