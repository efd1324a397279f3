package cluster

import (
	"fmt"
	"slices"
	"testing"
)

func TestSingleNode(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.mustPropose("a")
	m.mustPropose("b")
	if got := m.read(); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("read %q", got)
	}
	s := m.Status()
	if s.Role != RoleLeader || s.Voters != 1 || s.FailuresTolerated != 0 || !s.Ready || !m.Founder() || s.Insecure {
		t.Errorf("status %+v", s)
	}
	cluster := s.ClusterID
	m.restart(true)
	if got := m.read(); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("after the restart: %q", got)
	}
	if m.Status().ClusterID != cluster || !m.Founder() {
		t.Errorf("the identity changed: %+v", m.Status())
	}
}

func TestThreeNodes(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	var want []string
	for i := range 12 {
		body := fmt.Sprint("entry ", i)
		all[i%3].mustPropose(body)
		want = append(want, body)
		for _, m := range all {
			if got := m.read(); !slices.Equal(got, want) {
				t.Fatalf("%s reads %q, want %q", m.name(), got, want)
			}
		}
	}
	leader := leaderOf(t, all)
	for _, m := range all {
		s := m.Status()
		if s.Voters != 3 || s.FailuresTolerated != 1 || s.LeaderPeer != leader.ports.peerAdvertise || !s.Ready {
			t.Errorf("%s: %+v", m.name(), s)
		}
	}
	eventually(t, "gossip to know everyone", func() bool {
		members, err := all[2].Members()
		return err == nil && len(members) == 3 && !slices.ContainsFunc(members, func(m Member) bool {
			return !m.Alive || m.Version != "v-test" || m.HTTPAddr != m.ID+".example:8800" || !m.Voter
		})
	})
}
