package main

import (
	"context"
	"os"
	"os/exec"

	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

var networkFaults = []fault{
	{kind: "leader cut off", begin: onLeader(cut)},
	{kind: "member cut off", begin: onAny(cut)},
	{kind: "majority cut off", begin: onMajority(cut)},
	{kind: "links between members cut", begin: isolate},
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
