package main

import (
	"context"
	"errors"
	"slices"

	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/vdso"
)

var combinedFaults = []fault{
	{kind: "leader killed and back while all links are lossy", needs: netns.CanDisturb, begin: both(onAll(lossyLinks), onLeader(killAndStart))},
	{kind: "power lost by the leader while all links are lossy", needs: netns.CanDisturb, begin: both(onAll(lossyLinks), onLeader(losePower))},
	{kind: "leadership handed over while all links are late", needs: netns.CanDisturb, begin: both(onAll(lateLinks), handOver)},
	{kind: "all killed and back while all links are slow", needs: netns.CanSlow, begin: both(onAll(slowLinks), onAll(killAndStart))},
	{kind: "leader killed and back while one direction is lost", needs: netns.CanCutLinks, begin: both(cutLinks(oneDirection), onLeader(killAndStart))},
	{kind: "member killed and back while the leader's clock is an hour behind", needs: vdso.Available, begin: onLeader(withAnother(jump(-60), killAndStart))},
	{kind: "leader cut off while the clocks of all jump", needs: vdso.Available, begin: both(onAll(strobe), onLeader(cut))},
}

// begins is how a fault begins.
type begins = func(context.Context, *nemesis) (*broken, error)

// both has a second fault while a first lasts, and heals it before that.
func both(first, second begins) begins {
	return func(ctx context.Context, n *nemesis) (*broken, error) {
		a, err := first(ctx, n)
		if err != nil {
			return a, err
		}
		b, err := second(ctx, n)
		if err != nil {
			return a, errors.Join(err, a.heal(ctx))
		}
		c := &broken{on: slices.Clone(a.on), lasts: max(a.lasts, b.lasts), busy: a.busy || b.busy}
		for _, node := range b.on {
			if !slices.Contains(c.on, node) {
				c.on = append(c.on, node)
			}
		}
		if a.proof != "" && b.proof != "" {
			c.proof = a.proof + "; and " + b.proof
		}
		c.heal = func(ctx context.Context) error { return errors.Join(b.heal(ctx), a.heal(ctx)) }
		return c, nil
	}
}

// withAnother does the first to a node, and meanwhile the second to another.
func withAnother(first, second breaking) breaking {
	return func(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
		other := []*testcluster.Node{n.another(nodes[0])}
		return both(
			func(ctx context.Context, n *nemesis) (*broken, error) { return first(ctx, n, nodes) },
			func(ctx context.Context, n *nemesis) (*broken, error) { return second(ctx, n, other) },
		)(ctx, n)
	}
}

// killAndStart ends processes without warning, and has them come back at once.
func killAndStart(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	b, err := kill(ctx, n, nodes)
	if err != nil {
		return b, err
	}
	if err := b.heal(ctx); err != nil {
		return b, err
	}
	b.heal = nothing
	if b.proof != "" {
		b.proof = "the processes were gone, and others run"
	}
	return b, nil
}
