package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/faultfs"
)

var faultyDiskFaults = []fault{
	faulty("disk of the leader fails", oneLeads, failing(true)),
	faulty("disk of a member fails", one, failing(true)),
	faulty("disk of a member fails but for its log", one, failState),
	faulty("syncs of the leader's disk fail", oneLeads, failing(false)),
	faulty("disk of the leader hangs", oneLeads, hangs(faultfs.Rules{
		Reads: faultfs.Rule{Hangs: true}, Writes: faultfs.Rule{Hangs: true}, Syncs: faultfs.Rule{Hangs: true}})),
	faulty("syncs of the leader's disk hang", oneLeads, hangs(faultfs.Rules{Syncs: faultfs.Rule{Hangs: true}})),
	faulty("disk of the leader slow", oneLeads, slow),
	faulty("disk of a member slow", one, slow),
	faulty("disks of all slow", all, slow),
}

const (
	// minSlow to maxSlow is what one write or sync takes of a slow disk. An append is
	// several.
	minSlow, maxSlow = 20 * time.Millisecond, 200 * time.Millisecond
	// giveUpSeconds is how long a node may go on whose disk fails or hangs. It promises
	// to end, where its disk hangs for 10 s.
	giveUpSeconds = 30
	// leadSeconds is how long leadership may take to move to a member.
	leadSeconds = 10
)

// which are the nodes of a fault.
type which int

const (
	one which = iota
	oneLeads
	all
)

// breakDisks breaks disks that nodes run on, and finds a proof.
type breakDisks func(context.Context, *nemesis, []*faultyDisk) (proof string, err error)

// faulty is a fault of disks that nodes run on when they break.
func faulty(kind string, on which, do breakDisks) fault {
	return fault{kind: kind, needs: faultfs.Available, begin: func(ctx context.Context, n *nemesis) (*broken, error) {
		nodes := n.cluster.Nodes
		if on != all {
			nodes = []*testcluster.Node{n.any()}
		}
		return n.onChanged(ctx, nodes, func(disks []*faultyDisk) (string, error) {
			err := restarts(nodes)(ctx)
			if err == nil {
				err = each(nodes, func(node *testcluster.Node) error { return node.AwaitReady(ctx) })
			}
			if err != nil || on == oneLeads && !n.lead(ctx, nodes[0]) {
				return "", err
			}
			return do(ctx, n, disks)
		})
	}}
}

// onChanged stops nodes, has do go on with disks in place of theirs that do as they are
// told, and starts the nodes on their own disks again to heal.
func (n *nemesis) onChanged(ctx context.Context, nodes []*testcluster.Node, do func([]*faultyDisk) (proof string, err error)) (*broken, error) {
	disks, err := n.changeDisks(ctx, nodes)
	b := &broken{on: nodes, heal: func(ctx context.Context) error {
		err := each(disks, func(d *faultyDisk) error { return d.remove(ctx) })
		return errors.Join(err, restarts(nodes)(ctx))
	}}
	if err == nil {
		b.proof, err = do(disks)
	}
	if err != nil {
		err = errors.Join(err, b.heal(ctx))
	}
	return b, err
}

// changeDisks ends nodes, and mounts over their disks.
func (n *nemesis) changeDisks(ctx context.Context, nodes []*testcluster.Node) (disks []*faultyDisk, err error) {
	if err := each(nodes, func(node *testcluster.Node) error { return node.Stop(ctx) }); err != nil {
		return nil, err
	}
	for _, node := range nodes {
		d, err := mountFaulty(node, n.rng.Uint64())
		if err != nil {
			return disks, err
		}
		disks = append(disks, d)
	}
	return disks, nil
}

// lead has a node lead. It returns false if it doesn't come to that.
func (n *nemesis) lead(ctx context.Context, node *testcluster.Node) bool {
	ctx, cancel := context.WithTimeout(ctx, leadSeconds*time.Second)
	defer cancel()
	if leader, err := n.cluster.Leader(ctx); err != nil || leader == node {
		return err == nil
	}
	return n.cluster.TransferLeadership(ctx, node) == nil
}

// failing has syncs fail with EIO, and writes as well, or one in some. The process is to end
// at the first: it can't know what is on the disk, and the next sync may succeed with the
// data gone.
func failing(writes bool) breakDisks {
	return func(ctx context.Context, n *nemesis, disks []*faultyDisk) (string, error) {
		d, rule := disks[0], faultfs.Rule{Fails: true, OneIn: []int{1, 8, 64}[n.rng.IntN(3)]}
		rules := faultfs.Rules{Syncs: rule}
		if writes {
			rules.Writes = rule
		}
		if _, err := d.tell(rules); err != nil {
			return "", err
		}
		if broke, err := seen("write", d.node, fails); err != nil || !broke {
			return "", err
		}
		return "a write fails with EIO, and the process has ended by itself", gaveUp(ctx, d.node)
	}
}

// failState has all writes and syncs fail but those of Raft's log, or one in some, until a
// snapshot is due. Where one in some fails, a snapshot may be given up and the process
// go on.
func failState(ctx context.Context, n *nemesis, disks []*faultyDisk) (string, error) {
	d, rule := disks[0], faultfs.Rule{Fails: true, OneIn: []int{1, 4, 16}[n.rng.IntN(3)]}
	if _, err := d.tell(faultfs.Rules{Writes: rule, Syncs: rule, Spare: faultfs.LogName}); err != nil {
		return "", err
	}
	if broke, err := seen("write", d.node, fails); err != nil || !broke {
		return "", err
	}
	leader, err := n.cluster.Leader(ctx)
	if err != nil {
		return "", err
	}
	if due, err := n.fillUntilDue(ctx, leader); err != nil || !due {
		return "", err
	}
	if rule.OneIn > 1 {
		return "a write fails with EIO", nil
	}
	return "a write fails with EIO, and the process has ended by itself", gaveUp(ctx, d.node)
}

// eio is the error of a disk that fails.
var eio = syscall.EIO.Error()

func fails(t touched) bool { return t.Error == eio }

// gaveUp waits until a node has ended by itself.
func gaveUp(ctx context.Context, node *testcluster.Node) error {
	ctx, cancel := context.WithTimeout(ctx, giveUpSeconds*time.Second)
	defer cancel()
	select {
	case <-node.Process().Exited():
	case <-ctx.Done():
		return fmt.Errorf("%s goes on for %d s though its disk fails", node.ID, giveUpSeconds)
	}
	return ended(node)
}

// ended is for a process that is gone, and that shouldn't say that all is well.
func ended(node *testcluster.Node) error {
	if node.Process().Err() == nil {
		return fmt.Errorf("%s has ended with 0 though its disk is broken", node.ID)
	}
	return nil
}

// hangs has calls not return. Every other time they hang until the node has given up and
// another leads, which it does after 10 s, else for as long as a fault lasts.
func hangs(rules faultfs.Rules) breakDisks {
	return func(ctx context.Context, n *nemesis, disks []*faultyDisk) (string, error) {
		d := disks[0]
		if _, err := d.tell(rules); err != nil {
			return "", err
		}
		t, err := touch("write", d.node)
		if err != nil || !t.Hangs {
			return "", err
		}
		proof := "a write doesn't return"
		if n.rng.IntN(2) == 0 {
			if err := n.othersGoOn(ctx, d.node); err != nil {
				return "", err
			}
			proof += ", and another member leads"
		}
		return proof, nil
	}
}

// othersGoOn waits until another than the node leads.
func (n *nemesis) othersGoOn(ctx context.Context, node *testcluster.Node) error {
	ctx, cancel := context.WithTimeout(ctx, giveUpSeconds*time.Second)
	defer cancel()
	return testcluster.Await(ctx, "another leader than "+node.ID+", whose disk hangs", func(ctx context.Context) error {
		for _, other := range n.cluster.Nodes {
			if other == node {
				continue
			}
			ctx, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
			defer cancel()
			if status, err := other.Client().Status(ctx); err == nil && status.Role == "leader" {
				return nil
			}
		}
		return errors.New("none of the others leads")
	})
}

// slow has each write and sync take a while.
func slow(_ context.Context, _ *nemesis, disks []*faultyDisk) (string, error) {
	rule := faultfs.Rule{Min: minSlow, Max: maxSlow}
	if err := each(disks, func(d *faultyDisk) error {
		_, err := d.tell(faultfs.Rules{Writes: rule, Syncs: rule})
		return err
	}); err != nil {
		return "", err
	}
	for _, d := range disks {
		// The file is made, written and synced.
		if t, err := touch("write", d.node); err != nil || t.Took < 3*minSlow || t.Error != "" {
			return "", err
		}
	}
	return "a write and sync takes that long", nil
}
