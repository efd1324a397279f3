package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/vdso"
)

var clockFaults = []fault{
	{kind: "clock of the leader an hour ahead", needs: vdso.Available, begin: onLeader(jump(60))},
	{kind: "clock of the leader an hour behind", needs: vdso.Available, begin: onLeader(jump(-60))},
	{kind: "clock of a member an hour ahead", needs: vdso.Available, begin: onAny(jump(60))},
	{kind: "clock of a member an hour behind", needs: vdso.Available, begin: onAny(jump(-60))},
	{kind: "clocks of a majority an hour ahead", needs: vdso.Available, begin: onMajority(jump(60))},
	{kind: "restart of a member with a clock an hour ahead", needs: vdso.Available, begin: onAny(restartOff(60))},
	{kind: "restart of a member with a clock an hour behind", needs: vdso.Available, begin: onAny(restartOff(-60))},
	{kind: "clock of the leader jumping to and fro", needs: vdso.Available, begin: onLeader(strobe)},
	{kind: "clocks of all jumping to and fro", needs: vdso.Available, begin: onAll(strobe)},
}

const (
	// strobeMinutes is how far clocks jump at most that jump again and again.
	strobeMinutes = 60
	// minStrobe to maxStrobe is how long they stay.
	minStrobe, maxStrobe = 100 * time.Millisecond, 500 * time.Millisecond
	// clockTries is how often a clock is looked at until it has been seen to be off.
	clockTries = 100
)

// jump has the wall clocks of processes, and no others, be off by so many minutes.
func jump(minutes int) breaking {
	return func(ctx context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
		b, clocks, err := takeClocks(nodes)
		if err == nil {
			err = shift(clocks, minutes)
		}
		if err != nil {
			return b, errors.Join(err, b.heal(ctx))
		}
		told := ""
		for _, node := range nodes {
			off, ok := awaitOff(ctx, node, func(off time.Duration) bool { return off.Round(time.Minute) == time.Duration(minutes)*time.Minute })
			if !ok {
				return b, nil
			}
			told += fmt.Sprintf(", %s of %s", off.Round(time.Second), node.ID)
		}
		b.proof = "the Date of answers is off by an hour" + told
		return b, nil
	}
}

// restartOff ends processes, and has their wall clocks be off from the first moment on
// when they start again.
func restartOff(minutes int) breaking {
	return func(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
		err := each(nodes, func(node *testcluster.Node) error {
			if err := errors.Join(node.Kill9(), node.Start()); err != nil {
				return err
			}
			return testcluster.Await(ctx, "the program of "+node.ID, func(context.Context) error { return begun(node) })
		})
		if err != nil {
			return nil, err
		}
		return jump(minutes)(ctx, n, nodes)
	}
}

// begun is nil once the process runs the node's own program, with a clock that can be
// taken. At first it runs the one that brings it to its host.
func begun(node *testcluster.Node) error {
	now, err := os.Stat(fmt.Sprintf("/proc/%d/exe", node.Process().Pid()))
	if err != nil {
		return err
	}
	program, err := os.Stat(node.Binary)
	if err == nil && !os.SameFile(now, program) {
		err = errors.New("it runs another")
	}
	if err != nil {
		return err
	}
	clock, err := vdso.Take(node.Process().Pid())
	if err != nil {
		return err
	}
	return clock.Close()
}

// strobe has wall clocks jump again and again, each as chance will have it.
func strobe(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	b, clocks, err := takeClocks(nodes)
	if err != nil {
		return b, errors.Join(err, b.heal(ctx))
	}
	rng := rand.New(rand.NewPCG(n.rng.Uint64(), 0))
	stop := make(chan struct{})
	jumped := make(chan error, 1)
	go func() { jumped <- jumpOn(clocks, rng, stop) }()
	right := b.heal
	b.heal = func(ctx context.Context) error {
		close(stop)
		return errors.Join(<-jumped, right(ctx))
	}
	told := ""
	for _, node := range nodes {
		off, ok := awaitOff(ctx, node, func(off time.Duration) bool { return off.Abs() > time.Minute })
		if !ok {
			return b, nil
		}
		told += fmt.Sprintf(", once %s of %s", off.Round(time.Second), node.ID)
	}
	b.proof = "the Date of answers is off by as much as the clocks just are" + told
	return b, nil
}

// jumpOn has clocks jump until it is stopped.
func jumpOn(clocks []*vdso.Clock, rng *rand.Rand, stop <-chan struct{}) error {
	for {
		for _, c := range clocks {
			if err := shift([]*vdso.Clock{c}, rng.IntN(2*strobeMinutes+1)-strobeMinutes); err != nil {
				return err
			}
		}
		select {
		case <-time.After(minStrobe + time.Duration(rng.Int64N(int64(maxStrobe-minStrobe)))):
		case <-stop:
			return nil
		}
	}
}

// takeClocks takes those of nodes. What heals them sets them right.
func takeClocks(nodes []*testcluster.Node) (b *broken, clocks []*vdso.Clock, err error) {
	for _, node := range nodes {
		c, err := vdso.Take(node.Process().Pid())
		if err != nil {
			return &broken{on: nodes, heal: rightClocks(clocks)}, clocks, err
		}
		clocks = append(clocks, c)
	}
	return &broken{on: nodes, heal: rightClocks(clocks)}, clocks, nil
}

func rightClocks(clocks []*vdso.Clock) func(context.Context) error {
	return func(context.Context) error {
		err := shift(clocks, 0)
		for _, c := range clocks {
			err = errors.Join(err, c.Close())
		}
		return err
	}
}

// shift sets clocks. A process that has ended has none.
func shift(clocks []*vdso.Clock, minutes int) error {
	for _, c := range clocks {
		if err := c.Shift(minutes); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	return nil
}

// awaitOff asks a node for the time until it is as wanted.
func awaitOff(ctx context.Context, node *testcluster.Node, want func(time.Duration) bool) (off time.Duration, ok bool) {
	for range clockTries {
		off, err := clockOff(ctx, node)
		if err == nil && want(off) {
			return off, true
		}
		time.Sleep(minStrobe / 2)
	}
	return 0, false
}

// clockOff is how far the clock of a node is from that of this process, by the date that
// it puts on an answer.
func clockOff(ctx context.Context, node *testcluster.Node) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, node.HTTP+"/healthz", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	if err := resp.Body.Close(); err != nil {
		return 0, err
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	return time.Until(date), err
}
