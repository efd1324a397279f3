package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

// faults are all kinds. Each proves by other means than those that it broke something
// with that it did.
var faults = []fault{
	{"kill of the leader", onLeader(kill)},
	{"kill of a member", onAny(kill)},
	{"kill of all", onAll(kill)},
	{"pause of the leader", onLeader(stop)},
	{"pause of a member", onAny(stop)},
	{"pause of a majority", onMajority(stop)},
	{"leader cut off", onLeader(cut)},
	{"member cut off", onAny(cut)},
	{"majority cut off", onMajority(cut)},
	{"links between members cut", isolate},
	{"restart of the leader", onLeader(restart)},
	{"restart of a member", onAny(restart)},
	{"leadership handed over", handOver},
	{"power lost by the leader", onLeader(losePower)},
	{"power lost by a member", onAny(losePower)},
	{"power lost by all", onAll(losePower)},
	{"member replaced", onAny(replace)},
	{"disk of the leader full", onLeader(fill)},
	{"disks full", onAll(fill)},
}

// breaking breaks so many nodes at once.
type breaking func(context.Context, *nemesis, []*testcluster.Node) (*broken, error)

func onLeader(do breaking) func(context.Context, *nemesis) (*broken, error) {
	return func(ctx context.Context, n *nemesis) (*broken, error) {
		leader, err := n.cluster.Leader(ctx)
		if err != nil {
			return nil, err
		}
		return do(ctx, n, []*testcluster.Node{leader})
	}
}

func onAny(do breaking) func(context.Context, *nemesis) (*broken, error) {
	return func(ctx context.Context, n *nemesis) (*broken, error) {
		return do(ctx, n, []*testcluster.Node{n.any()})
	}
}

func onMajority(do breaking) func(context.Context, *nemesis) (*broken, error) {
	return func(ctx context.Context, n *nemesis) (*broken, error) {
		return do(ctx, n, n.shuffled()[:n.nodes/2+1])
	}
}

func onAll(do breaking) func(context.Context, *nemesis) (*broken, error) {
	return func(ctx context.Context, n *nemesis) (*broken, error) { return do(ctx, n, n.cluster.Nodes) }
}

func restarts(nodes []*testcluster.Node) func(context.Context) error {
	return func(ctx context.Context) error {
		// All at once: a majority may have to be there before one is ready.
		if err := each(nodes, func(n *testcluster.Node) error { return n.Start() }); err != nil {
			return err
		}
		return each(nodes, func(n *testcluster.Node) error { return n.AwaitReady(ctx) })
	}
}

// kill ends processes without warning.
func kill(_ context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	err := each(nodes, (*testcluster.Node).Kill9)
	b := &broken{on: nodes, heal: restarts(nodes)}
	if gone(nodes) {
		b.proof = "the processes are gone"
	}
	return b, err
}

func gone(nodes []*testcluster.Node) bool {
	for _, n := range nodes {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", n.Process().Pid())); err == nil {
			return false
		}
	}
	return true
}

// restart asks processes to end, as an operator does.
func restart(ctx context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	err := each(nodes, func(n *testcluster.Node) error { return n.Stop(ctx) })
	b := &broken{on: nodes, heal: restarts(nodes)}
	if gone(nodes) {
		b.proof = "the processes have ended with 0"
	}
	return b, err
}

// stop has processes do nothing for a while, with all their connections open.
func stop(_ context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	err := each(nodes, (*testcluster.Node).Pause)
	b := &broken{on: nodes, heal: func(context.Context) error { return each(nodes, (*testcluster.Node).Continue) }}
	for _, n := range nodes {
		if state := stateOf(n.Process().Pid()); state != "T" {
			return b, err
		}
	}
	b.proof = "the kernel calls the processes stopped"
	return b, err
}

// stateOf is the state of a process as the kernel has it, once it is that of a stopped
// one or half a second has passed: a thread in a system call stops at its end.
func stateOf(pid int) (state string) {
	for range 50 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return ""
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if state, _, _ = strings.Cut(after, " "); state == "T" {
			return state
		}
		time.Sleep(10 * time.Millisecond)
	}
	return state
}

// cut takes hosts off the network: nothing comes or goes, and nobody is told.
func cut(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	err := each(nodes, func(node *testcluster.Node) error { return n.lab.Cut(n.host(node)) })
	b := &broken{on: nodes, heal: func(context.Context) error {
		return each(nodes, func(node *testcluster.Node) error { return n.lab.Heal(n.host(node)) })
	}}
	for _, node := range nodes {
		if reaches(ctx, nil, node.Peer) {
			return b, err
		}
	}
	b.proof = "the hosts can't be reached"
	return b, err
}

// isolate cuts the links between some members, who all go on to reach the clients, and
// those that are not among them.
func isolate(ctx context.Context, n *nemesis) (*broken, error) {
	nodes := n.shuffled()[:2+n.rng.IntN(n.nodes-1)]
	err := each(nodes, func(node *testcluster.Node) error { return n.lab.Isolate(n.host(node)) })
	b := &broken{on: nodes, heal: func(context.Context) error {
		return each(nodes, func(node *testcluster.Node) error { return n.lab.Rejoin(n.host(node)) })
	}}
	from := netns.In(n.lab.Hosts[n.host(nodes[0])].Namespace)
	if !reaches(ctx, from, nodes[1].Peer) && reaches(ctx, nil, nodes[1].Peer) {
		b.proof = "they can't reach one another, and clients them"
	}
	return b, err
}

// reaches says whether a connection can be made, by a program that is started by the
// command in.
func reaches(ctx context.Context, in []string, addr string) bool {
	self, err := os.Executable()
	if err != nil {
		return false
	}
	args := append(append([]string{}, in...), self, "--dial", addr)
	return exec.CommandContext(ctx, args[0], args[1:]...).Run() == nil
}

func handOver(ctx context.Context, n *nemesis) (*broken, error) {
	before, err := n.cluster.Leader(ctx)
	if err != nil {
		return nil, err
	}
	b := &broken{on: []*testcluster.Node{before}, heal: func(context.Context) error { return nil }}
	if _, err := before.Client().TransferLeadership(ctx, ""); err != nil {
		return b, nil // the leader may have changed meanwhile
	}
	after, err := n.cluster.Leader(ctx)
	if err == nil && after != before {
		b.proof = after.ID + " leads"
	}
	return b, err
}
