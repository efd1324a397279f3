package main

import (
	"context"

	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/faultfs"
)

var faultyReadFaults = []fault{
	{kind: "reads of a member's disk fail", needs: faultfs.Available, begin: onAny(failReads)},
}

// failReads has a member that starts, or that runs, read nothing more from its disk. One
// that starts can't; one that runs may need to read nothing, else it ends.
func failReads(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	node := nodes[0]
	return n.onChanged(ctx, nodes, func(disks []*faultyDisk) (string, error) {
		if t, err := touch("write", node); err != nil || t.Error != "" {
			return "", err
		}
		running := n.rng.IntN(2) == 0
		if running {
			if err := node.Restart(ctx); err != nil {
				return "", err
			}
		}
		if _, err := disks[0].tell(faultfs.Rules{Reads: faultfs.Rule{Fails: true}}); err != nil {
			return "", err
		}
		if t, err := touch("read", node); err != nil || t.Error != eio {
			return "", err
		}
		if running {
			return "a read fails with EIO", nil
		}
		if err := node.Start(); err != nil {
			return "", err
		}
		return "a read fails with EIO, and the process doesn't start", gaveUp(ctx, node)
	})
}
