package main

import (
	"context"
	"path/filepath"
	"time"

	"pipesync/internal/testcluster"
)

var powerSnapshotFaults = []fault{
	{kind: "power lost by all in a snapshot", begin: onAll(losePowerInSnapshot)},
}

const (
	// snapshotSeconds is how long a node may take to begin a snapshot that is due.
	snapshotSeconds = 5
	// looking is how often the harness looks for one, which takes a few milliseconds.
	looking = 200 * time.Microsecond
)

// losePowerInSnapshot has power lost as soon as a node is seen to write a snapshot, first
// by that node.
func losePowerInSnapshot(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	none := &broken{on: nodes, heal: nothing}
	leader, err := n.cluster.Leader(ctx)
	if err != nil {
		return none, err
	}
	due, err := n.fillUntilDue(ctx, leader)
	if err != nil || !due {
		return none, err
	}
	for end := time.Now().Add(snapshotSeconds * time.Second); time.Now().Before(end); time.Sleep(looking) {
		for i, node := range nodes {
			if !snapshotting(node) {
				continue
			}
			b, err := losePower(ctx, n, append(nodes[i:len(nodes):len(nodes)], nodes[:i]...))
			if err == nil && b.proof != "" {
				b.proof += "; " + node.ID + " was writing a snapshot"
			}
			return b, err
		}
	}
	return none, nil
}

// fillUntilDue has a leader log until a snapshot is due, and says whether it got so far.
func (n *nemesis) fillUntilDue(ctx context.Context, leader *testcluster.Node) (bool, error) {
	for range maxFillers / fillers {
		status, err := leader.Client().Status(ctx)
		if err != nil || status.Role != "leader" {
			return false, nil
		}
		if status.Sizes.LogSinceSnapshot >= snapshotBytes {
			return true, nil
		}
		n.fillSome(ctx, leader)
	}
	return false, nil
}

// snapshotting says whether a part of a snapshot is on a node's disk.
func snapshotting(node *testcluster.Node) bool {
	parts, err := filepath.Glob(filepath.Join(node.Dir, "state", "snapshots", "*.tmp"))
	return err == nil && len(parts) > 0
}
