package cluster

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// together has all found a cluster, and those that are told to join it.
func together(t *testing.T, all []*member, addrs []string) {
	t.Helper()
	var wg sync.WaitGroup
	for _, m := range all {
		wg.Go(func() {
			through, err := m.FoundTogether(m.ctx(), addrs)
			for err == nil && through != "" {
				if err = m.Join(m.ctx(), through, testToken, false); isRetriable(err) {
					err = nil
					continue
				}
				break
			}
			if err != nil {
				t.Errorf("%s: %v", m.name(), err)
			}
		})
	}
	wg.Wait()
}

func peerAddrs(all []*member) (addrs []string) {
	for _, m := range all {
		addrs = append(addrs, m.ports.peerAdvertise)
	}
	return addrs
}

func TestNodesFoundAClusterTogether(t *testing.T) {
	t.Parallel()
	all := []*member{newMember(t, "n3"), newMember(t, "n1"), newMember(t, "n2")}
	addrs := peerAddrs(all)
	together(t, all, addrs)
	for _, m := range all {
		eventually(t, "three voters at "+m.name(), func() bool { return m.Status().Voters == 3 })
		if m.Founder() != (m.name() == "n1") {
			t.Errorf("%s: founder is %v", m.name(), m.Founder())
		}
	}
	all[0].mustPropose("by all")

	// Whoever comes back on an empty disk finds the cluster, and founds none.
	late := newMember(t, "n0")
	through, err := late.FoundTogether(late.ctx(), append(addrs[1:], late.ports.peerAdvertise))
	if err != nil || !slices.Contains(addrs, through) {
		t.Errorf("a late one: through %q, %v", through, err)
	}
	if _, err := all[0].FoundTogether(all[0].ctx(), addrs); !errors.Is(err, ErrAlreadyJoined) {
		t.Errorf("a member: %v", err)
	}
}

// The founder ends before the others have learnt of it.
func TestAFounderThatCrashesIsFoundAgain(t *testing.T) {
	t.Parallel()
	all := []*member{newMember(t, "n1"), newMember(t, "n2"), newMember(t, "n3")}
	addrs := peerAddrs(all)
	others := make([]context.CancelFunc, 0, 2)
	var asked sync.WaitGroup
	for _, m := range all[1:] {
		ctx, cancel := context.WithCancel(m.ctx())
		others = append(others, cancel)
		asked.Go(func() {
			// Its answers count, but it doesn't get to join.
			if _, err := m.FoundTogether(ctx, addrs); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	if through, err := all[0].FoundTogether(all[0].ctx(), addrs); err != nil || through != "" {
		t.Fatalf("through %q, %v", through, err)
	}
	for _, cancel := range others {
		cancel()
	}
	asked.Wait()
	all[0].restart(false)
	together(t, all[1:], addrs)
	for _, m := range all {
		eventually(t, "three voters at "+m.name(), func() bool { return m.Status().Voters == 3 })
	}
}

// Nodes that don't mean the same ones wait, and say for what.
func TestFoundersThatDisagreeWait(t *testing.T) {
	t.Parallel()
	all := []*member{newMember(t, "n1"), newMember(t, "n2"), newMember(t, "n3")}
	lists := [][]string{peerAddrs(all[:2]), peerAddrs(all[1:]), peerAddrs([]*member{all[0], all[2]})}
	for i, m := range all {
		slices.Sort(lists[i])
		if err := m.expectOthers(lists[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range all {
		step := decideFounding(m.name(), lists[i], m.askFounders(m.ctx(), lists[i]))
		if !strings.Contains(step.waitsFor, "to expect the same nodes") {
			t.Errorf("%s: %+v", m.name(), step)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := all[0].FoundTogether(ctx, lists[0])
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "founding a cluster: waiting for") {
		t.Errorf("giving up: %v", err)
	}
	if id := all[0].Status().ClusterID; id != "" {
		t.Errorf("it is in cluster %s", id)
	}
}

func TestDecideFounding(t *testing.T) {
	addrs := []string{"a:1", "b:1", "c:1"}
	reply := func(node string) founderAnswer {
		return founderAnswer{foundingReply: foundingReply{NodeID: node, Expects: addrs}}
	}
	member := founderAnswer{foundingReply: foundingReply{NodeID: "n9", ClusterID: "cluster"}}
	silent := founderAnswer{err: errors.New("no route")}
	for _, c := range []struct {
		name    string
		answers []founderAnswer
		want    foundingStep
	}{
		{"all are there", []founderAnswer{reply("n3"), reply("n1"), reply("n2")}, foundingStep{found: true}},
		{"a smaller one is", []founderAnswer{reply("n0"), reply("n1"), reply("n2")}, foundingStep{waitsFor: "node n0 at a:1 to form the cluster"}},
		{"one is silent", []founderAnswer{reply("n1"), silent, reply("n2")}, foundingStep{waitsFor: "b:1: no route"}},
		{"one is a member", []founderAnswer{silent, reply("n1"), member}, foundingStep{member: "c:1"}},
		{"twice the same", []founderAnswer{reply("n2"), reply("n1"), reply("n2")}, foundingStep{waitsFor: "another node at a:1 or c:1: n2 answers at both"}},
		{"without oneself", []founderAnswer{reply("n2"), reply("n3"), reply("n4")}, foundingStep{waitsFor: "this node itself, n1, to answer at one of a:1,b:1,c:1"}},
		{"another list", []founderAnswer{reply("n1"), {foundingReply: foundingReply{NodeID: "n2", Expects: addrs[:2]}}, reply("n3")},
			foundingStep{waitsFor: "node n2 at b:1 to expect the same nodes: it expects a:1,b:1, not a:1,b:1,c:1"}},
	} {
		if got := decideFounding("n1", addrs, c.answers); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Where certificates are shown, whoever has none learns nothing of a cluster to be.
func TestFoundersAnswerNobodyWithoutACertificate(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	if _, err := dialWithoutCertificate(t, m, preamble{Kind: kindHTTP}); err == nil {
		t.Error("a node that expects nobody takes connections")
	}
	if err := m.expectOthers(peerAddrs([]*member{m})); err != nil {
		t.Fatal(err)
	}
	h := newHopClient(dialer{})
	t.Cleanup(h.close)
	h.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return dialWithoutCertificate(t, m, preamble{Kind: kindHTTP})
	}
	_, err := h.send(m.ctx(), hopRequest{addr: m.ports.peerAdvertise, op: opFounding}, nil)
	if !errors.Is(err, ErrUnauthorized) {
		t.Errorf("founding: %v", err)
	}
	_, err = h.send(m.ctx(), hopRequest{addr: m.ports.peerAdvertise, op: opJoin}, []byte("{}"))
	if class(t, err) != "not applied" {
		t.Errorf("joining a node that is in no cluster: %v", err)
	}
}
