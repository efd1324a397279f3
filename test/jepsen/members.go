package main

import (
	"context"
	"errors"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

var memberFaults = []fault{
	{kind: "leadership handed over", begin: handOver},
	{kind: "member replaced", begin: onAny(replace)},
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

// replace takes members out of the cluster and has them join again with empty disks.
func replace(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	others := n.shuffled()
	var via *testcluster.Node
	for _, o := range others {
		if o != nodes[0] {
			via = o
		}
	}
	gone := nodes[0]
	b := &broken{on: nodes, heal: func(ctx context.Context) error {
		if err := gone.Start("--join", via.Peer); err != nil {
			return err
		}
		return gone.AwaitReady(ctx)
	}}
	err := testcluster.Await(ctx, "the removal of "+gone.ID, func(ctx context.Context) error {
		_, err := via.Client().RemoveMember(ctx, gone.ID, false)
		var refused *client.Error
		if errors.As(err, &refused) && refused.Code == "MEMBER_NOT_FOUND" {
			return nil // an answer was lost
		}
		return err
	})
	if err != nil {
		return b, err
	}
	if err := gone.Kill9(); err != nil {
		return b, err
	}
	if err := unmountDisk(ctx, diskOf(gone)); err != nil {
		return b, err
	}
	if err := makeDisk(diskOf(gone)); err != nil {
		return b, err
	}
	members, err := via.Client().Members(ctx)
	if err != nil {
		return b, err
	}
	for _, m := range members.Members {
		if m.ID == gone.ID {
			return b, nil
		}
	}
	b.proof = "it is no member"
	return b, nil
}
