package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

var memberFaults = []fault{
	{kind: "leadership handed over", begin: handOver},
	{kind: "member replaced", begin: onAny(replace)},
	{kind: "member added and removed", begin: addMember},
	{kind: "members added and removed by turns", begin: churn},
	{kind: "leader leaves", begin: onLeader(leave)},
	{kind: "disk of a member wiped", begin: onAny(forget)},
}

func handOver(ctx context.Context, n *nemesis) (*broken, error) {
	before, err := n.cluster.Leader(ctx)
	if err != nil {
		return nil, err
	}
	b := &broken{on: []*testcluster.Node{before}, heal: nothing}
	if _, err := before.Client().TransferLeadership(ctx, ""); err != nil {
		return b, nil // the leader may have changed meanwhile
	}
	after, err := n.cluster.Leader(ctx)
	if err == nil && after != before {
		b.proof = after.ID + " leads"
	}
	return b, err
}

// replace takes a member out of the cluster and has it join again with an empty disk.
func replace(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	gone, via := nodes[0], n.another(nodes[0])
	if err := n.keepPrevious(ctx, gone); err != nil {
		return nil, err
	}
	b := &broken{on: nodes, heal: joins(gone, via)}
	if err := takeOut(ctx, gone, via); err != nil {
		return b, err
	}
	if err := gone.Kill9(); err != nil {
		return b, err
	}
	if err := wipe(ctx, gone); err != nil {
		return b, err
	}
	m, err := memberOf(ctx, via, gone)
	if err == nil && m == nil {
		b.proof = "it is no member"
	}
	return b, err
}

// addMember has a spare be a member for a while.
func addMember(ctx context.Context, n *nemesis) (*broken, error) {
	spare := n.cluster.Spares[0]
	b := &broken{on: []*testcluster.Node{spare}, heal: func(ctx context.Context) error { return n.leaves(ctx, spare) }}
	voter, err := n.joins(ctx, spare)
	if voter {
		b.proof = "another node has it as a voter"
	}
	return b, err
}

// churn has one spare after the other be a member, each for a short time.
func churn(ctx context.Context, n *nemesis) (*broken, error) {
	last := n.cluster.Spares[len(n.cluster.Spares)-1]
	b := &broken{on: n.cluster.Spares, heal: func(ctx context.Context) error { return n.leaves(ctx, last) }}
	voters := 0
	for i, spare := range n.cluster.Spares {
		voter, err := n.joins(ctx, spare)
		if err != nil {
			return b, err
		}
		if voter {
			voters++
		}
		if i > 0 {
			if err := n.leaves(ctx, n.cluster.Spares[i-1]); err != nil {
				return b, err
			}
		}
	}
	if voters == len(n.cluster.Spares) {
		b.proof = "other nodes had each as a voter"
	}
	return b, nil
}

// leave has the leader go, as an operator at its machine tells it to, and come back with
// an empty disk.
func leave(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	gone, via := nodes[0], n.another(nodes[0])
	if err := n.keepPrevious(ctx, gone); err != nil {
		return nil, err
	}
	b := &broken{on: nodes, heal: joins(gone, via)}
	if err := n.leaves(ctx, gone); err != nil {
		return b, err
	}
	after, err := n.cluster.Leader(ctx)
	if err != nil {
		return b, err
	}
	m, err := memberOf(ctx, after, gone)
	if err == nil && m == nil {
		b.proof = "its process has ended with 0, and " + after.ID + " leads without it"
	}
	return b, err
}

// forget has a member lose its disk, and try to come back as if nothing had happened.
func forget(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	lost, via := nodes[0], n.another(nodes[0])
	if err := n.keepPrevious(ctx, lost); err != nil {
		return nil, err
	}
	joins := func(ctx context.Context) error {
		_, err := lost.Client().Join(ctx, client.JoinRequest{Peer: via.Peer, Token: n.cluster.AdminToken})
		if codeOf(err) == "ALREADY_JOINED" {
			return nil // an answer was lost
		}
		return err
	}
	b := &broken{on: nodes, heal: func(ctx context.Context) error {
		if err := takeOut(ctx, lost, via); err != nil {
			return err
		}
		if err := testcluster.Await(ctx, lost.ID+" to join anew", joins); err != nil {
			return err
		}
		return lost.AwaitReady(ctx)
	}}
	if err := errors.Join(lost.Kill9(), wipe(ctx, lost), lost.Start()); err != nil {
		return b, err
	}
	if err := lost.AwaitLive(ctx); err != nil {
		return b, err
	}
	return b, testcluster.Await(ctx, "an answer to "+lost.ID, func(ctx context.Context) error {
		err := joins(ctx)
		if codeOf(err) == "NODE_ID_TAKEN" {
			b.proof, err = "the cluster doesn't let it in under its name", nil
		}
		return err
	})
}

// another is a member that isn't this one.
func (n *nemesis) another(than *testcluster.Node) *testcluster.Node {
	for {
		if o := n.any(); o != than {
			return o
		}
	}
}

// joins starts a node that isn't a member, and says whether another has it as a voter in
// the end.
func (n *nemesis) joins(ctx context.Context, node *testcluster.Node) (voter bool, err error) {
	via := n.any()
	if err := joins(node, via)(ctx); err != nil {
		return false, err
	}
	m, err := memberOf(ctx, via, node)
	return m != nil && m.Voter, err
}

// joins has a node with an empty disk become a member.
func joins(node, via *testcluster.Node) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := node.Start("--join", via.Peer); err != nil {
			return err
		}
		return node.AwaitReady(ctx)
	}
}

// leaves has a member go by itself, and gives it an empty disk.
func (n *nemesis) leaves(ctx context.Context, node *testcluster.Node) error {
	if err := takeOut(ctx, node, node, n.another(node)); err != nil {
		return err
	}
	select {
	case <-node.Process().Exited():
	case <-ctx.Done():
		return fmt.Errorf("%s has left, and its process goes on: %w", node.ID, ctx.Err())
	}
	if err := node.Process().Err(); err != nil {
		return fmt.Errorf("%s has left, and its process ended so: %w", node.ID, err)
	}
	return wipe(ctx, node)
}

// removalSeconds bounds one attempt to remove a member. The leader hands over first.
const removalSeconds = 10

// takeOut removes a member, asking some by turns.
func takeOut(ctx context.Context, gone *testcluster.Node, asked ...*testcluster.Node) error {
	attempt := 0
	return testcluster.Await(ctx, "the removal of "+gone.ID, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, removalSeconds*time.Second)
		defer cancel()
		via := asked[attempt%len(asked)]
		attempt++
		_, err := via.Client().RemoveMember(ctx, gone.ID, false)
		if codeOf(err) == "MEMBER_NOT_FOUND" {
			return nil // an answer was lost
		}
		return err
	})
}

// codeOf is that of an error which a node has answered with, else empty.
func codeOf(err error) string {
	var refused *client.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// memberOf is what a node knows of another as a member, nil if it is none.
func memberOf(ctx context.Context, via, of *testcluster.Node) (*client.Member, error) {
	members, err := via.Client().Members(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range members.Members {
		if m.ID == of.ID {
			return &m, nil
		}
	}
	return nil, nil
}

// wipe gives a node that doesn't run an empty disk.
func wipe(ctx context.Context, node *testcluster.Node) error {
	if err := unmountDisk(ctx, diskOf(node)); err != nil {
		return err
	}
	return makeDisk(diskOf(node))
}
