package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

const (
	// requireHostsEnv has tests fail that can't have hosts or disks of their own,
	// instead of being skipped.
	requireHostsEnv = "PIPESYNC_REQUIRE_NETNS"
	// labEnv tells a test that it runs in the hub of a lab, and of which.
	labEnv = "PIPESYNC_TEST_LAB"
)

// onHosts runs body in the hub of a lab of n hosts: in another process, which is this
// program with t alone.
func onHosts(t *testing.T, n int, ipv6 bool, body func(t *testing.T, lab *netns.Lab)) {
	t.Helper()
	if text := os.Getenv(labEnv); text != "" {
		lab := &netns.Lab{}
		if err := json.Unmarshal([]byte(text), lab); err != nil {
			t.Fatal(err)
		}
		body(t, lab)
		return
	}
	if err := netns.Available(); err != nil {
		unavailable(t, err)
	}
	lab, err := netns.Make(n, ipv6)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lab.Remove(); err != nil {
			t.Error(err)
		}
	}()
	text, err := json.Marshal(lab)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere(t, netns.In(lab.Hub), labEnv+"="+string(text))
}

// unavailable skips a test that this machine can't run, or fails it where it must run.
func unavailable(t *testing.T, why error) {
	t.Helper()
	if os.Getenv(requireHostsEnv) != "" {
		t.Fatal(why)
	}
	t.Skipf("NOT RUN: %v", why)
}

// elsewhere runs t alone again, in a process that is started by the command in, with
// more variables of the environment.
func elsewhere(t *testing.T, in []string, environment ...string) {
	t.Helper()
	only := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	args := append(slices.Clone(in), os.Args[0], "-test.run", only, "-test.v")
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), testcluster.BinaryEnv+"="+binary), environment...)
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "--- SKIP: "+t.Name()) {
		t.Skipf("%s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%s %s: %v\n%s", in, only, err, out)
	}
	t.Logf("%s", out)
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
