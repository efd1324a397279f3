package cluster

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestUnjoinedNode(t *testing.T) {
	m, other := newMember(t, "n1"), newMember(t, "n2")
	if _, err := m.Propose(m.ctx(), []byte("x")); !errors.Is(err, ErrNotJoined) || class(t, err) != "not applied" {
		t.Errorf("propose: %v", err)
	}
	if _, err := m.ReadIndex(m.ctx()); !errors.Is(err, ErrNotJoined) {
		t.Errorf("read index: %v", err)
	}
	if _, err := m.Members(); !errors.Is(err, ErrNotJoined) {
		t.Errorf("members: %v", err)
	}
	if err := m.Remove(m.ctx(), "n1", false); !errors.Is(err, ErrNotJoined) {
		t.Errorf("remove: %v", err)
	}
	if s := m.Status(); s.Role != RoleUnjoined || s.ClusterID != "" || s.Ready || s.NodeID != "n1" {
		t.Errorf("status: %+v", s)
	}
	// Nor can anyone join through it.
	if err := other.Join(other.ctx(), m.ports.peerAdvertise, testToken, false); class(t, err) != "not applied" {
		t.Errorf("join through it: %v", err)
	}
}

func TestJoinRefusals(t *testing.T) {
	all := newCluster(t, 2)
	follower := followerOf(all, leaderOf(t, all))
	stranger := newMember(t, "n9", patient)
	if err := stranger.Join(stranger.ctx(), follower.ports.peerAdvertise, "guess", false); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("wrong token: %v", err)
	}
	if stranger.Status().ClusterID != "" {
		t.Error("a refused joiner keeps the cluster's id")
	}
	double := newMember(t, "n2")
	if err := double.Join(double.ctx(), follower.ports.peerAdvertise, testToken, false); !errors.Is(err, ErrIDTaken) {
		t.Errorf("a member's id on an empty disk: %v", err)
	}
	if err := follower.Join(follower.ctx(), all[0].ports.peerAdvertise, testToken, false); !errors.Is(err, ErrAlreadyJoined) {
		t.Errorf("joining twice: %v", err)
	}
	if err := follower.Bootstrap(follower.ctx()); !errors.Is(err, ErrAlreadyJoined) {
		t.Errorf("bootstrapping a member: %v", err)
	}
	// After all that it can still join, through a follower.
	if err := stranger.Join(stranger.ctx(), follower.ports.peerAdvertise, testToken, true); err != nil {
		t.Fatal(err)
	}
	s := stranger.Status()
	if s.Role != RoleNonvoter || s.Voters != 2 || !s.Ready {
		t.Errorf("the non-voter's status: %+v", s)
	}
	stranger.mustPropose("through a non-voter")
}

// A connection that names another cluster is refused before a request is read.
func TestWrongCluster(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	other := testCerts(t, testCA(), "n2")
	for _, c := range []struct {
		name string
		sent string
		want preambleStatus
	}{
		{"another cluster's raft", "PSYN\x01\x01\x05other\x02n1", statusWrongCluster},
		{"another cluster's http", "PSYN\x01\x02\x05other\x02n1", statusWrongCluster},
		{"raft without a cluster", "PSYN\x01\x01\x00\x02n1", statusWrongCluster},
		{"a later version", "PSYN\x02\x01\x00", statusBadVersion},
		{"an unknown kind", "PSYN\x01\x09\x00\x00", statusUnknownKind},
		{"a joiner", "PSYN\x01\x02\x00\x00", statusOK},
	} {
		conn, err := tls.Dial("tcp", m.ports.peerAdvertise, other.ClientConfig(m.cfg.Certs.Self()))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, c.sent)
		var status [1]byte
		if _, err := io.ReadFull(conn, status[:]); err != nil || preambleStatus(status[0]) != c.want {
			t.Errorf("%s: status %d, %v", c.name, status[0], err)
		}
		if c.want == statusOK {
			// All that it can do is ask to join.
			for _, op := range []string{"propose", "info"} {
				_, _ = fmt.Fprintf(conn, "POST /v1/%s HTTP/1.1\r\nHost: x\r\nPipesync-Term: 2\r\nContent-Length: 1\r\n\r\nx", op)
			}
			for range 2 {
				reply, err := http.ReadResponse(bufio.NewReader(iotest.OneByteReader(conn)), nil)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(reply.Body)
				if reply.Header.Get(headerOutcome) != "not-applied" || !strings.Contains(string(text), "can only join") {
					t.Errorf("without a cluster id: %v %s", reply.Header, text)
				}
			}
		} else if rest, _ := io.ReadAll(conn); string(rest) != "\x00" { // no reason
			t.Errorf("%s: went on with %q", c.name, rest)
		}
		_ = conn.Close()
	}
	if got := m.read(); len(got) != 0 {
		t.Errorf("entries: %q", got)
	}
}

func TestJoinIsResumed(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 1)
	all[0].mustPropose("a")
	m := newMember(t, "n2")
	m.sm.setStall(func([]byte) { <-m.stopping }) // it can't catch up before it stops
	if err := m.becomeMember(m.ctx(), all[0].ports.peerAdvertise, testToken, false); err != nil {
		t.Fatal(err)
	}
	if id, err := readIdentity(m.cfg.DataDir); err != nil || id.Pending != pendingJoin || id.ClusterID == "" {
		t.Fatalf("identity while joining: %+v, %v", id, err)
	}
	m.restart(true)
	eventually(t, "the join to be finished", func() bool { return all[0].Status().Voters == 2 && m.Status().Ready })
	id, err := readIdentity(m.cfg.DataDir)
	if err != nil || id.Pending != pendingNone {
		t.Errorf("identity after the join: %+v, %v", id, err)
	}
	if got := m.read(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("read %q", got)
	}
}

func TestRemoveAndLeave(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 4, impatient)
	leader := leaderOf(t, all)

	// A follower, asked for through another follower.
	gone := followerOf(all, leader)
	rest := without(all, gone)
	via := followerOf(rest, leader)
	if err := via.Remove(via.ctx(), gone.name(), false); err != nil {
		t.Fatal(err)
	}
	<-gone.Removed()
	if err := via.Remove(via.ctx(), gone.name(), false); !errors.Is(err, ErrUnknownMember) {
		t.Errorf("removing twice: %v", err)
	}
	saysRemoved(t, gone, all[0])
	gone.restart(false)
	<-gone.Removed()
	saysRemoved(t, gone, all[0])

	// The leader, by itself: leadership moves first.
	if err := leader.Remove(leader.ctx(), leader.name(), false); err != nil {
		t.Fatal(err)
	}
	<-leader.Removed()
	rest = without(rest, leader)
	leaderOf(t, rest)
	rest[0].mustPropose("after")
	if s := rest[1].Status(); s.Voters != 2 || s.FailuresTolerated != 0 {
		t.Errorf("status after two removals: %+v", s)
	}

	// Down to one, which nobody can remove.
	last := leaderOf(t, rest)
	second := followerOf(rest, last)
	if err := second.Remove(second.ctx(), second.name(), false); err != nil {
		t.Fatal(err)
	}
	<-second.Removed()
	for _, force := range []bool{false, true} {
		if err := last.Remove(last.ctx(), last.name(), force); !errors.Is(err, ErrQuorumAtRisk) {
			t.Errorf("removing the last voter, force %v: %v", force, err)
		}
	}
	if got := last.read(); !slices.Equal(got, []string{"after"}) {
		t.Errorf("read %q", got)
	}
}

func saysRemoved(t *testing.T, m, through *member) {
	t.Helper()
	if _, err := m.Propose(m.ctx(), []byte("x")); !errors.Is(err, ErrRemoved) || !errors.Is(err, ErrNotJoined) || class(t, err) != "not applied" {
		t.Errorf("propose on a removed node: %v", err)
	}
	if _, err := m.ReadIndex(m.ctx()); !errors.Is(err, ErrRemoved) {
		t.Errorf("read on a removed node: %v", err)
	}
	if err := m.Join(m.ctx(), through.ports.peerAdvertise, testToken, false); !errors.Is(err, ErrRemoved) {
		t.Errorf("joining again: %v", err)
	}
	if err := m.Bootstrap(m.ctx()); !errors.Is(err, ErrRemoved) {
		t.Errorf("bootstrapping a removed node: %v", err)
	}
	if s := m.Status(); s.Role != RoleUnjoined || s.Ready {
		t.Errorf("status of a removed node: %+v", s)
	}
}

// A node that was away while it was removed finds out when it comes back.
func TestRemovedWhileAway(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3, impatient)
	leader := leaderOf(t, all)
	away := followerOf(all, leader)
	away.stop()
	if err := leader.Remove(leader.ctx(), away.name(), false); err != nil {
		t.Fatal(err)
	}
	away.gate = &testGate{}
	away.start()
	<-away.Removed()
	saysRemoved(t, away, leader)
}

func TestQuorumArithmetic(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3, func(c *Config) { c.HeartbeatTimeout, c.ElectionTimeout = time.Second, time.Second })
	leader := leaderOf(t, all)
	down := followerOf(all, leader)
	up := followerOf(without(all, down), leader)
	down.stop()
	err := leader.Remove(leader.ctx(), up.name(), false)
	if !errors.Is(err, ErrQuorumAtRisk) {
		t.Fatalf("removing one of two that answer: %v", err)
	}
	for _, part := range []string{"2 voters remain", "a quorum of them is 2", "1 answer (" + leader.name() + ")"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	// The leader itself is no better a choice.
	if err := up.Remove(up.ctx(), leader.name(), false); !errors.Is(err, ErrQuorumAtRisk) {
		t.Errorf("removing the leader: %v", err)
	}
	// The one that is down may go.
	if err := up.Remove(up.ctx(), down.name(), false); err != nil {
		t.Errorf("removing the one that is down: %v", err)
	}
	up.mustPropose("still writable")
}

// Voters who have another leader meanwhile don't count as down.
func TestADeposedLeaderCountsNobody(t *testing.T) {
	all := newCluster(t, 2)
	old := leaderOf(t, all)
	next := followerOf(all, old)
	from, _ := old.running()
	to, _ := next.running()
	term := from.raft.CurrentTerm()
	release := old.links.holdReads()
	defer release()
	counted := make(chan error, 1)
	go func() {
		got, err := from.reachable(old.ctx(), term, awaitTime)
		if err == nil {
			err = fmt.Errorf("%v answer", got)
		}
		counted <- err
	}()
	eventually(t, "the question to Raft", func() bool {
		from.questions.mu.Lock()
		defer from.questions.mu.Unlock()
		return from.questions.open > 0
	})
	to.campaign()
	if err := <-counted; !errors.Is(err, errNotLeader) {
		t.Error(err)
	}
}

func TestTransferRefusals(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	if err := leader.TransferLeadership(leader.ctx(), "nobody"); !errors.Is(err, ErrUnknownMember) {
		t.Errorf("to a stranger: %v", err)
	}
	if err := followerOf(all, leader).TransferLeadership(leader.ctx(), leader.name()); err != nil {
		t.Errorf("to the leader: %v", err)
	}
	solo := newMember(t, "solo")
	if err := solo.Bootstrap(solo.ctx()); err != nil {
		t.Fatal(err)
	}
	if err := solo.TransferLeadership(solo.ctx(), ""); !errors.Is(err, ErrTransferFailed) {
		t.Errorf("with nobody to take it: %v", err)
	}
	solo.mustPropose("still leading")
}

// A node that comes back at other ports is found again by its id.
func TestAddressChange(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3, impatient)
	for _, m := range []*member{followerOf(all, leaderOf(t, all)), leaderOf(t, all)} {
		before := m.ports.peerAdvertise
		m.stop()
		held, err := net.Listen("tcp", before) // so that it can't come back there
		if err != nil {
			t.Fatal(err)
		}
		m.cfg.PeerBind, m.cfg.GossipBind = "127.0.0.1:0", "127.0.0.1:0"
		m.gate = &testGate{}
		m.start()
		eventually(t, "everyone to know the new address", func() bool {
			for _, other := range all {
				members, err := other.Members()
				if err != nil || !slices.ContainsFunc(members, func(x Member) bool {
					return x.ID == m.name() && x.PeerAddr == m.ports.peerAdvertise && x.Voter && x.Alive
				}) {
					return false
				}
			}
			return true
		})
		_ = held.Close()
		m.mustPropose("from the new address of " + m.name())
	}
	if got := all[0].read(); len(got) != 2 {
		t.Errorf("read %q", got)
	}
}

// Alone at a new address, a node tells nobody but itself.
func TestAddressChangeAlone(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.stop()
	m.cfg.PeerBind = "127.0.0.1:0"
	m.gate = &testGate{}
	m.start()
	eventually(t, "the configuration to follow", func() bool {
		return m.Status().LeaderPeer == m.ports.peerAdvertise
	})
}

// A member that was removed may not know who leads: whoever it asks finds out.
func TestAnyMemberAsksTheLeader(t *testing.T) {
	all := newCluster(t, 3)
	leader := leaderOf(t, all)
	asked := followerOf(all, leader)
	core, err := asked.running()
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{leader.name(): true, "removed": false} {
		raw, err := leader.hop.send(leader.ctx(), hopRequest{
			addr: asked.ports.peerAdvertise, op: opMembership, term: anyTerm, clusterID: core.stream.clusterID,
		}, []byte(`{"node_id":"`+id+`"}`))
		var reply membershipReply
		if err == nil {
			err = json.Unmarshal(raw, &reply)
		}
		if err != nil || reply.Member != want {
			t.Errorf("%s: %s, %v; want %v", id, raw, err, want)
		}
	}
}

// A change behind another one waits for it no longer than it may.
func TestChangesTakeTurns(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	done, err := m.beginChange(m.ctx())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(m.ctx(), 100*time.Millisecond)
	defer cancel()
	if err := m.Remove(ctx, "n2", false); !errors.Is(err, ErrNotApplied) {
		t.Errorf("behind another change: %v", err)
	}
	done()
	if err := m.Remove(m.ctx(), "n2", false); !errors.Is(err, ErrUnknownMember) {
		t.Errorf("after it: %v", err)
	}
}

// A token that is to be used up is, by an entry, before its node is let in.
func TestATokenIsUsedUpByAnEntry(t *testing.T) {
	all := newCluster(t, 1)
	leader := all[0]
	n2, n3 := newMember(t, "n2"), newMember(t, "n3")
	at := leader.ports.peerAdvertise
	if err := n2.Join(n2.ctx(), at, onceToken, false); err != nil {
		t.Fatal(err)
	}
	if got := leader.read(); !slices.Equal(got, []string{"token used by n2"}) {
		t.Errorf("entries: %q", got)
	}
	leader = leaderOf(t, all[:1])
	leader.gate.set(func(g *testGate) {
		g.admit = func(body []byte) ([]byte, error) { return []byte("refused"), nil }
	})
	if err := n3.Join(n3.ctx(), at, onceToken, false); !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "the token is used") {
		t.Errorf("a used token: %v", err)
	}
	if members, err := leader.Members(); err != nil || len(members) != 2 {
		t.Errorf("members %+v, %v", members, err)
	}
}
