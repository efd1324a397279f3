package cluster

import (
	"slices"
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
