package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

// onHosts runs body in the hub of a lab, with the binary that this process has.
func onHosts(t *testing.T, n int, ipv6 bool, body func(t *testing.T, lab *netns.Lab)) {
	t.Helper()
	netns.InHub(t, n, ipv6, []string{testcluster.BinaryEnv + "=" + binary}, body)
}

// Three machines, each with an address of its own, speak TLS to each other. The
// leader's is cut off: the others go on, and it catches up when it is back.
func TestAcrossHosts(t *testing.T) {
	t.Parallel()
	t.Run("IPv4", func(t *testing.T) { onHosts(t, 3, false, cutAndHeal) })
	t.Run("IPv6", func(t *testing.T) { onHosts(t, 3, true, cutAndHeal) })
}

func cutAndHeal(t *testing.T, lab *netns.Lab) {
	cfg := testcluster.Config{Binary: binary, Nodes: len(lab.Hosts)}
	for _, h := range lab.Hosts {
		cfg.Hosts = append(cfg.Hosts, testcluster.Host{IP: h.IP, Run: netns.In(h.Namespace)})
	}
	s := newSuite(t, testcluster.New(t, cfg), testDeadline)
	tn := s.tenant(s.Nodes[0])
	sync := func(ctx context.Context, through *testcluster.Node, id string) error {
		_, err := s.as(tn, through).Sync(ctx, tn.batch(client.Incremental, upsert("docs", id, `{"id":"`+id+`"}`)))
		return err
	}
	read := func(ctx context.Context, through *testcluster.Node, id string) error {
		_, err := s.as(tn, through).Record(ctx, tn.store, "docs", id, client.ReadOptions{})
		return err
	}
	for _, n := range s.Nodes {
		s.await("a sync through "+n.ID, func(ctx context.Context) error { return sync(ctx, n, n.ID) })
	}
	for _, n := range s.Nodes {
		for _, from := range s.Nodes {
			s.await("what came through "+from.ID+" at "+n.ID, func(ctx context.Context) error { return read(ctx, n, from.ID) })
		}
	}

	leader := s.leader()
	cut := slices.Index(s.Nodes, leader)
	s.must(lab.Cut(cut))
	nobody, cancel := context.WithTimeout(s.ctx, time.Second)
	defer cancel()
	if err := s.admin(leader).Live(nobody); err == nil {
		t.Fatal("the leader answers although it is cut off")
	}
	for i, n := range s.Nodes {
		if i != cut {
			s.await("a sync through "+n.ID+" while the leader is cut off", func(ctx context.Context) error { return sync(ctx, n, "past-"+n.ID) })
		}
	}
	s.must(lab.Heal(cut))
	for i, n := range s.Nodes {
		if i != cut {
			s.await("the old leader to show what it has missed", func(ctx context.Context) error { return read(ctx, leader, "past-"+n.ID) })
		}
	}
	s.await("a sync through the old leader", func(ctx context.Context) error { return sync(ctx, leader, "back") })
}
