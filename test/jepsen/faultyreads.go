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

var faultyReadFaults = []fault{
	{kind: "reads of a member's disk fail", needs: faultfs.Available, begin: onAny(failReads)},
	{kind: "bits flipped on reads of a member", needs: faultfs.Available, begin: onAny(flipReads)},
}

// lastWordsSeconds is how long a node may write what its goroutines do.
const lastWordsSeconds = 5

// failReads has all reads of a member's disk fail, or one in some, while it starts or
// while it runs.
func failReads(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	rules := faultfs.Rules{Reads: faultfs.Rule{Fails: true, OneIn: n.oneIn()}}
	return n.onChanged(ctx, nodes, func(disks []*faultyDisk) (string, error) {
		_, fate, err := n.readUnder(ctx, disks[0], rules, fails)
		if err != nil || fate == "" {
			return "", err
		}
		return "a read fails with EIO, and the process " + fate, nil
	})
}

// flipReads has the disk of a member give back something else than was written, while it
// starts or while it runs. What it has made of that may be on the disk for good, and so it
// begins anew on an empty one, as it says that it must if it notices.
func flipReads(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	node, via := nodes[0], n.another(nodes[0])
	rules := faultfs.Rules{FlipEvery: n.oneIn()}
	disks, err := n.changeDisks(ctx, nodes)
	b := &broken{on: nodes, heal: func(ctx context.Context) error {
		err := takeOut(ctx, node, via)
		err = errors.Join(err, each(disks, func(d *faultyDisk) error { return d.remove(ctx) }))
		if err != nil {
			return err
		}
		if err := wipe(ctx, node); err != nil {
			return err
		}
		return joins(node, via)(ctx)
	}}
	if err == nil {
		var flipped int
		var fate string
		flipped, fate, err = n.readUnder(ctx, disks[0], rules, func(t touched) bool { return t.Differ })
		if flipped > 0 {
			b.proof = fmt.Sprintf("a read differs from what was written, %d of its own have a wrong bit, and the process %s", flipped, fate)
		}
	}
	if err != nil {
		err = errors.Join(err, each(disks, func(d *faultyDisk) error { return d.remove(ctx) }))
	}
	return b, err
}

// oneIn is how many reads one of is touched; 1: all are.
func (n *nemesis) oneIn() int { return []int{1, 4, 16}[n.rng.IntN(3)] }

// readUnder has a member start under rules for what it reads, or go on under them once it
// has started. It returns how many bits of what it read were flipped and what became of the
// process; nothing, if no read of the harness was seen to break.
func (n *nemesis) readUnder(ctx context.Context, d *faultyDisk, rules faultfs.Rules, breaks func(touched) bool) (flipped int, fate string, err error) {
	if t, err := touch("write", d.node); err != nil || t.Error != "" {
		return 0, "", err
	}
	starting := n.rng.IntN(2) == 0
	if !starting {
		if err := d.node.Restart(ctx); err != nil {
			return 0, "", err
		}
	}
	if _, err := d.tell(rules); err != nil {
		return 0, "", err
	}
	if broke, err := seen("read", d.node, breaks); err != nil || !broke {
		return 0, "", err
	}
	before, err := d.tell(rules)
	if err != nil {
		return 0, "", err
	}
	if starting {
		fate, err = becomes(ctx, d.node)
	} else {
		fate, err = n.readsAll(ctx, d.node)
	}
	if err != nil {
		return 0, "", err
	}
	after, err := d.tell(rules)
	return after.Flipped - before.Flipped, fate, err
}

// becomes starts a node, and says whether it is ready or has ended by itself.
func becomes(ctx context.Context, node *testcluster.Node) (fate string, err error) {
	if err := node.Start(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, giveUpSeconds*time.Second)
	defer cancel()
	switch err := node.AwaitReady(ctx); {
	case err == nil:
		return "starts all the same", nil
	case node.Running():
		return "", errors.Join(fmt.Errorf("%s neither starts nor ends: %w", node.ID, err), askWhy(node.Process()))
	}
	return "doesn't start", ended(node)
}

// askWhy has a node end with a word in its log about what each goroutine waits for.
func askWhy(p *testcluster.Process) error {
	if err := p.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	select {
	case <-p.Exited():
		return nil
	case <-time.After(lastWordsSeconds * time.Second):
		return fmt.Errorf("nor does it end by SIGQUIT, in %d s", lastWordsSeconds)
	}
}

// readsAll has a node that runs read all its rows, which it may not survive.
func (n *nemesis) readsAll(ctx context.Context, node *testcluster.Node) (fate string, err error) {
	begun, err := n.another(node).Client().Scrub(ctx)
	if err != nil {
		return "", nil // there may be no leader for the moment
	}
	ctx, cancel := context.WithTimeout(ctx, giveUpSeconds*time.Second)
	defer cancel()
	err = testcluster.Await(ctx, "the scrub of "+node.ID, func(ctx context.Context) error {
		if !node.Running() {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
		defer cancel()
		status, err := node.Client().Status(ctx)
		if err == nil && (status.State.Scrub == nil || status.State.Scrub.Index < begun.Index) {
			return errors.New("it isn't done")
		}
		return err
	})
	switch {
	case err != nil:
		return "", err
	case node.Running():
		return "goes on", nil
	}
	return "has ended by itself", ended(node)
}
