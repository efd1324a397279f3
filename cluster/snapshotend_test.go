package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// A leader that was cut off comes back with entries that nobody else has, and gets a
// snapshot that ends among them, or with the last of them. It drops them, goes on, and
// starts again.
func TestSnapshotIntoAnotherHistory(t *testing.T) {
	t.Parallel()
	for name, beyond := range map[string]uint64{"it goes on behind the snapshot": 10, "it ends where the snapshot does": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := newCluster(t, 3)
			cutOff := leaderOf(t, all)
			others := without(all, cutOff)
			cutOff.mustPropose("0")
			for _, m := range others {
				m.read()
				m.stop()
			}
			lonely := cutOff.leaveUncommitted(40)
			cutOff.end()

			for _, m := range others {
				m.gate = &testGate{}
				m.start()
			}
			leader := others[0]
			leader.stand()
			want := []string{"0"}
			for leader.lastIndex() < lonely-beyond {
				body := fmt.Sprint(leader.lastIndex())
				leader.mustPropose(body)
				want = append(want, body)
			}
			for _, m := range others {
				m.read()
				m.cutLog()
			}
			if got, err := newestSnapshot(leader.sm.snapshots); err != nil || got.Index != lonely-beyond {
				t.Fatalf("the snapshot ends at %d, and the other log at %d: %v", got.Index, lonely, err)
			}

			cutOff.gate = &testGate{}
			cutOff.start()
			for i := range 3 {
				if got := cutOff.read(); !slices.Equal(got, want) {
					t.Fatalf("it reads %q", got)
				}
				if i == 1 {
					cutOff.restart(false)
				}
				body := fmt.Sprint("after ", i)
				leader.mustPropose(body)
				want = append(want, body)
			}
			if cutOff.sm.restored() == 0 {
				t.Error("no snapshot was installed: the test proves nothing")
			}
			if left := cutOff.logged("never"); left != 0 {
				t.Errorf("its log still has %d of the entries that were never committed", left)
			}
		})
	}
}

// leaveUncommitted has a leader without followers log so many entries, and returns the index of the
// last.
func (m *member) leaveUncommitted(n int) uint64 {
	m.t.Helper()
	before := m.lastIndex()
	ctx, cancel := context.WithCancel(m.ctx())
	m.t.Cleanup(cancel)
	for i := range n {
		go func() { _, _ = m.Propose(ctx, fmt.Append(nil, "never ", i)) }()
	}
	eventually(m.t, "entries that nobody else has", func() bool { return m.lastIndex() == before+uint64(n) })
	return m.lastIndex()
}

// logged is how many entries of its log begin so.
func (m *member) logged(prefix string) (n int) {
	m.t.Helper()
	c, err := m.running()
	if err != nil {
		m.t.Fatal(err)
	}
	first, err := c.store.log.FirstIndex()
	for index := first; err == nil && index <= c.raft.LastIndex(); index++ {
		var e raft.Log
		if err = c.store.log.GetLog(index, &e); err == nil && strings.HasPrefix(string(e.Data), prefix) {
			n++
		}
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

func (m *member) lastIndex() uint64 {
	m.t.Helper()
	c, err := m.running()
	if err != nil {
		m.t.Fatal(err)
	}
	return c.raft.LastIndex()
}

// stand has the node lead, once it is elected.
func (m *member) stand() {
	m.t.Helper()
	eventually(m.t, m.name()+" to lead", func() bool {
		c, err := m.running()
		if err == nil && m.Status().Role != RoleLeader {
			c.campaign()
		}
		return err == nil && m.Status().Role == RoleLeader
	})
}
