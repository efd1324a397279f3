package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"pipesync/internal/testcluster"
)

// operationFaults are what operators do, as docs/operations.md has it.
var operationFaults = []fault{
	{kind: "rolling restart", begin: rollingRestart},
	{kind: "member reseeded", begin: onAny(reseed)},
}

// healthySeconds is how long an operator waits for a cluster to be whole after a step.
const healthySeconds = 30

// rollingRestart restarts all members one after the other, each once the cluster is
// whole again.
func rollingRestart(ctx context.Context, n *nemesis) (*broken, error) {
	b := &broken{on: n.shuffled(), heal: nothing}
	for _, node := range b.on {
		if err := node.Stop(ctx); err != nil {
			return b, err
		}
		if !gone([]*testcluster.Node{node}) {
			return b, node.Start()
		}
		if err := node.Restart(ctx); err != nil {
			return b, err
		}
		if err := n.cluster.Run("status", "--wait", "healthy", "--timeout", fmt.Sprint(healthySeconds*time.Second),
			"--addr", node.HTTP, "--admin-token-file", n.cluster.AdminTokenFile); err != nil {
			return b, err
		}
	}
	b.proof = "each process has ended with 0 before the next was asked to"
	return b, nil
}

// reseed has a member begin anew, as one whose state is wrong does.
func reseed(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	node, via := nodes[0], n.another(nodes[0])
	b := &broken{on: nodes, heal: func(ctx context.Context) error { return comesAnew(ctx, node, via) }}
	if err := node.Stop(ctx); err != nil {
		return b, err
	}
	if err := beginAnew(ctx, n, node, via); err != nil {
		return b, err
	}
	if _, err := os.Stat(keptBy(node)); err != nil {
		return b, err
	}
	m, err := memberOf(ctx, via, node)
	if err == nil && m == nil {
		b.proof = "it is no member, and its state is elsewhere"
	}
	return b, err
}

// beginAnew takes a node that doesn't run out of the cluster and makes it one that has
// nothing, under its id.
func beginAnew(ctx context.Context, n *nemesis, node, via *testcluster.Node) error {
	if err := takeOut(ctx, node, via); err != nil {
		return err
	}
	return n.cluster.Run("reseed", "--yes", "--data-dir", node.Dir, "--peer-certs-dir", node.CertsDir())
}

// keptBy is what is left of a node's directory from before it began anew.
func keptBy(node *testcluster.Node) string { return node.Dir + ".before-reseed" }

// comesAnew has it join.
func comesAnew(ctx context.Context, node, via *testcluster.Node) error {
	return errors.Join(os.RemoveAll(keptBy(node)), joins(node, via)(ctx))
}
