package main

import (
	"context"
	"slices"
	"time"

	"pipesync/internal/testcluster"
)

// fault is a way to break a cluster. It proves by other means than those that it broke
// something with that it did.
type fault struct {
	kind string
	// needs says what this machine lacks for it; nil: any machine that has a lab will do.
	needs func() error
	// nodes is how many it takes at least; 0: any cluster will do.
	nodes int
	// begin breaks something. It returns on which nodes, and what heals it; the proof
	// that it has had an effect is for the fault's own to find, before it is healed.
	begin func(ctx context.Context, n *nemesis) (*broken, error)
}

// broken is a fault that lasts.
type broken struct {
	on    []*testcluster.Node
	proof string // empty: it had no effect
	heal  func(context.Context) error
	lasts time.Duration // at least
	busy  bool          // clients send as fast as they can all the time
}

// nothing heals what is over by itself.
func nothing(context.Context) error { return nil }

// faults are all kinds.
var faults = slices.Concat(
	processFaults,
	stutterFaults,
	networkFaults,
	linkFaults,
	slowFaults,
	clockFaults,
	combinedFaults,
	diskFaults,
	powerSnapshotFaults,
	frozenFaults,
	faultyDiskFaults,
	faultyReadFaults,
	memberFaults,
	operationFaults,
	damageFaults,
	attemptFaults,
	snapshotFaults,
	installFaults,
	slowClientFaults,
	restoredFaults,
	rotationFaults,
	mixedFaults,
	backupFaults,
)

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
