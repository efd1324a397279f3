package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

var slowFaults = []fault{
	{kind: "links of the leader slow", needs: netns.CanSlow, begin: onLeader(slowLinks)},
	{kind: "links of a member slow", needs: netns.CanSlow, begin: onAny(slowLinks)},
	{kind: "links of all slow", needs: netns.CanSlow, begin: onAll(slowLinks)},
	{kind: "links of the leader lossy", needs: netns.CanDisturb, begin: onLeader(lossyLinks)},
	{kind: "links of a member lossy", needs: netns.CanDisturb, begin: onAny(lossyLinks)},
	{kind: "links of all lossy", needs: netns.CanDisturb, begin: onAll(lossyLinks)},
	{kind: "links of the leader delayed and reordered", needs: netns.CanDisturb, begin: onLeader(lateLinks)},
	{kind: "links of a member delayed and reordered", needs: netns.CanDisturb, begin: onAny(lateLinks)},
	{kind: "links of all delayed and reordered", needs: netns.CanDisturb, begin: onAll(lateLinks)},
}

const (
	// minSlowBytes to maxSlowBytes a second pass a slow link.
	minSlowBytes, maxSlowBytes = 16 << 10, 64 << 10
	// minLossPercent to maxLossPercent of the packets are lost.
	minLossPercent, maxLossPercent = 5, 20
	// minDelay to maxDelay is how late each packet is at least, and how much later it may
	// be.
	minDelay, maxDelay = 5 * time.Millisecond, 50 * time.Millisecond
)

// slowLinks has little pass to and from hosts, and the rest wait a while or be lost.
func slowLinks(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	// Not all that is sent at once has room to wait.
	burst := netns.Stream{Count: 60, Bytes: 1200, Within: time.Second}
	rate := minSlowBytes + n.rng.IntN(maxSlowBytes-minSlowBytes)
	return n.worsen(ctx, nodes, burst, func(node *testcluster.Node) (func() error, error) {
		host := n.host(node)
		return func() error { return n.lab.Hasten(host) }, n.lab.Slow(host, rate)
	}, func(before, after netns.Flow) string {
		if before.Arrived < before.Sent || after.Arrived > after.Sent*3/4 {
			return ""
		}
		return fmt.Sprintf("%d KiB a second: of %d datagrams at once %d arrive, before %d", rate>>10, after.Sent, after.Arrived, before.Arrived)
	})
}

// lossyLinks has some of all packets to and from hosts be lost.
func lossyLinks(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	many := netns.Stream{Count: 200, Bytes: 100, Every: time.Millisecond, Within: lostAfter}
	d := netns.Disturbance{LossPercent: minLossPercent + n.rng.IntN(maxLossPercent-minLossPercent+1)}
	return n.worsen(ctx, nodes, many, n.disturb(ctx, d), func(before, after netns.Flow) string {
		if before.Arrived < before.Sent || after.Arrived == after.Sent {
			return ""
		}
		return fmt.Sprintf("%d%%: of %d datagrams %d arrive, before %d", d.LossPercent, after.Sent, after.Arrived, before.Arrived)
	})
}

// lateLinks has all packets to and from hosts be late, each by so much as chance will have it.
func lateLinks(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	many := netns.Stream{Count: 100, Bytes: 100, Every: time.Millisecond, Within: time.Second}
	of := func() time.Duration { return minDelay + time.Duration(n.rng.Int64N(int64(maxDelay-minDelay))) }
	d := netns.Disturbance{Delay: of(), Jitter: of()}
	return n.worsen(ctx, nodes, many, n.disturb(ctx, d), func(before, after netns.Flow) string {
		if after.Median < before.Median+d.Delay/2 || after.Overtaken <= before.Overtaken {
			return ""
		}
		return fmt.Sprintf("of %d datagrams %d are overtaken, before %d, and half take longer than %v, before %v",
			after.Sent, after.Overtaken, before.Overtaken, after.Median.Round(time.Microsecond), before.Median.Round(time.Microsecond))
	})
}

func (n *nemesis) disturb(ctx context.Context, d netns.Disturbance) func(*testcluster.Node) (func() error, error) {
	return func(node *testcluster.Node) (func() error, error) {
		self, err := asPart()
		if err != nil {
			return nil, err
		}
		return n.lab.Disturb(ctx, self, n.host(node), d)
	}
}

// worsen does something to the links of nodes, and looks at the way from the clients to
// the first of them before and after that.
func (n *nemesis) worsen(ctx context.Context, nodes []*testcluster.Node, s netns.Stream,
	do func(*testcluster.Node) (undo func() error, err error), compare func(before, after netns.Flow) (proof string)) (*broken, error) {
	var undo []func() error
	b := &broken{on: nodes, heal: func(context.Context) error {
		var all []error
		for _, f := range undo {
			all = append(all, f())
		}
		return errors.Join(all...)
	}}
	host := n.host(nodes[0])
	before, err := n.flow(ctx, netns.Hub, host, s)
	if err != nil {
		return b, err
	}
	err = each(nodes, func(node *testcluster.Node) error {
		back, err := do(node)
		if back != nil {
			undo = append(undo, back)
		}
		return err
	})
	if err != nil {
		return b, errors.Join(err, b.heal(ctx))
	}
	after, err := n.flow(ctx, netns.Hub, host, s)
	if err != nil {
		return b, errors.Join(err, b.heal(ctx))
	}
	b.proof = compare(before, after)
	return b, nil
}
