package cluster

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestSilences(t *testing.T) {
	var s silences
	now := time.Hour
	look := func(passed time.Duration, members string, answered string, term uint64) {
		now += passed
		got := map[raft.ServerID]bool{}
		for _, id := range answered {
			got[raft.ServerID(id)] = true
		}
		var others []raft.ServerID
		for _, id := range members {
			others = append(others, raft.ServerID(id))
		}
		s.look(now, others, got, term)
	}
	want := func(when string, led time.Duration, dead ...DeadMember) {
		t.Helper()
		if got := s.dead(5 * time.Second); !slices.Equal(got, dead) {
			t.Errorf("%s: dead are %v, want %v", when, got, dead)
		}
		if _, got := s.leading(); got != led {
			t.Errorf("%s: leading for %v, want %v", when, got, led)
		}
	}
	look(0, "ab", "", 0)
	want("at the first look", 0)
	look(3*time.Second, "abc", "b", 7)
	look(2*time.Second, "abc", "b", 7)
	want("a was never heard, and c was found later", 2*time.Second, DeadMember{"a", 5 * time.Second})
	look(3*time.Second, "abc", "", 7)
	want("c too, b not yet", 5*time.Second, DeadMember{"a", 8 * time.Second}, DeadMember{"c", 5 * time.Second})
	look(time.Hour, "abc", "c", 7)
	want("an hour in which this node was stopped", 5*time.Second+maxLook, DeadMember{"a", 8*time.Second + maxLook}, DeadMember{"b", 3*time.Second + maxLook})
	look(time.Second, "bc", "bc", 8)
	want("a is a member no more, the others answer, and the term is another", 0)
	look(4*time.Second, "abc", "", 8)
	look(4*time.Second, "abc", "c", 0)
	want("a came back anew, and another leads", 0, DeadMember{"b", 8 * time.Second})
}

// soonDead takes members for dead that have missed a look or two.
func soonDead(c *Config) { c.deadAfter = 100 * time.Millisecond }

func TestADeadMemberIsReported(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3, impatient, soonDead)
	gone := followerOf(all, leaderOf(t, all))
	gone.stop()
	rest := without(all, gone)
	eventually(t, "the others to take it, and it alone, for dead", func() bool {
		for _, m := range rest {
			if dead := m.Status().Dead; len(dead) != 1 || dead[0].ID != gone.name() || dead[0].SilentFor < m.cfg.deadAfter {
				return false
			}
		}
		return true
	})
	gone.gate = &testGate{}
	gone.start()
	eventually(t, "nobody to be dead", func() bool {
		return !slices.ContainsFunc(all, func(m *member) bool { return len(m.Status().Dead) > 0 })
	})
}

// removing is a policy that is changed while nodes run.
type removing struct{ atomic.Pointer[RemovalPolicy] }

func (r *removing) config(c *Config) {
	soonDead(c)
	c.Removal = func() RemovalPolicy { return *r.Load() }
}

func TestDeadMembersAreRemoved(t *testing.T) {
	t.Parallel()
	var policy removing
	policy.Store(&RemovalPolicy{})
	all := newCluster(t, 4, impatient, policy.config)
	nonvoter := newMember(t, "n5", impatient, policy.config)
	if err := nonvoter.Join(nonvoter.ctx(), all[0].ports.peerAdvertise, testToken, true); err != nil {
		t.Fatal(err)
	}
	leader := leaderOf(t, all)
	gone := without(all, leader)[:2]
	kept := without(without(all, gone[0]), gone[1])
	gone[0].stop()
	nonvoter.stop()
	eventually(t, "both to be dead", func() bool { return len(leaderOf(t, append(kept, gone[1])).Status().Dead) == 2 })
	if s := kept[0].Status(); s.Voters != 4 {
		t.Errorf("removed without being told to: %+v", s)
	}
	// Nor by a leader that hasn't led for so long.
	policy.Store(&RemovalPolicy{After: time.Hour, MinVoters: 3})
	c, err := leader.running()
	if err != nil {
		t.Fatal(err)
	}
	c.silences.mu.Lock()
	c.silences.of[raft.ServerID(gone[0].name())] = 2 * time.Hour
	c.silences.mu.Unlock()
	if !leader.removeDead(leader.ctx(), c) || kept[0].Status().Voters != 4 {
		t.Errorf("removed by a new leader: %+v", kept[0].Status())
	}
	policy.Store(&RemovalPolicy{After: time.Millisecond, MinVoters: 3})
	eventually(t, "both to be removed", func() bool {
		members, err := kept[0].Members()
		if err != nil {
			t.Fatal(err)
		}
		return len(members) == 3 && kept[0].Status().Voters == 3
	})
	kept[0].mustPropose("after")

	// The third voter stays whatever happens, and is welcome when it is back.
	gone[1].stop()
	eventually(t, "the third to be dead", func() bool { return len(leaderOf(t, kept).Status().Dead) == 1 })
	leader = leaderOf(t, kept)
	if c, err = leader.running(); err != nil {
		t.Fatal(err)
	}
	if err := leader.removeDeadMember(leader.ctx(), c, c.raft.CurrentTerm(), gone[1].name(), 3); !errors.Is(err, ErrQuorumAtRisk) {
		t.Errorf("below the minimum: %v", err)
	}
	gone[1].gate = &testGate{}
	gone[1].start()
	eventually(t, "it to catch up", func() bool { return gone[1].Status().Ready })
	if got := gone[1].read(); !slices.Equal(got, []string{"after"}) {
		t.Errorf("it read %q", got)
	}

	// Those that were removed find that out, when they are back.
	for _, m := range []*member{gone[0], nonvoter} {
		m.gate = &testGate{}
		m.start()
		<-m.Removed()
	}
}

// A member that answers is never removed, though it was taken for dead; nor is one
// without which the quorum would be gone.
func TestALastQuestionBeforeTheRemoval(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	leader := leaderOf(t, all)
	c, err := leader.running()
	if err != nil {
		t.Fatal(err)
	}
	term := c.raft.CurrentTerm()
	rest := without(all, leader)
	remove := func(m *member) error { return leader.removeDeadMember(leader.ctx(), c, term, m.name(), 1) }
	if err := remove(rest[0]); err == nil || !strings.Contains(err.Error(), "n2 answers again") {
		t.Errorf("one that answers: %v", err)
	}
	if s := leader.Status(); s.Voters != 3 {
		t.Errorf("status: %+v", s)
	}
	rest[1].end()
	if err := remove(rest[0]); !errors.Is(err, ErrQuorumAtRisk) || !strings.Contains(err.Error(), "a quorum of them is 2, and 1 answer") {
		t.Errorf("the quorum's last: %v", err)
	}
	if err := leader.removeDeadMember(leader.ctx(), c, term-1, rest[1].name(), 1); !errors.Is(err, errOtherTerm) {
		t.Errorf("in a term that is over: %v", err)
	}
}

// One that only the leader is cut off from, by its peer port, is dead to the leader but
// not to gossip.
func TestAMemberThatGossipSeesIsNotRemoved(t *testing.T) {
	t.Parallel()
	var policy removing
	policy.Store(&RemovalPolicy{})
	all := newCluster(t, 3, policy.config)
	leader := leaderOf(t, all)
	eventually(t, "gossip to see all", func() bool {
		members, err := leader.Members()
		return err == nil && !slices.ContainsFunc(members, func(m Member) bool { return !m.Alive })
	})
	leader.links.sever(followerOf(all, leader).ports.peerAdvertise)
	eventually(t, "it to be dead", func() bool { return len(leader.Status().Dead) == 1 })
	policy.Store(&RemovalPolicy{After: time.Millisecond, MinVoters: 1})
	c, err := leader.running()
	if err != nil {
		t.Fatal(err)
	}
	if !leader.removeDead(leader.ctx(), c) || leader.Status().Voters != 3 {
		t.Errorf("it was removed: %+v", leader.Status())
	}
}
