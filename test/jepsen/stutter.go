package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pipesync/internal/testcluster"
)

var stutterFaults = []fault{{kind: "leader stutters", begin: onLeader(stutter)}}

const (
	// A process that stutters stands still for stillTime, again and again, and goes on for
	// runTime in between: far too short for anybody to take it for gone.
	stillTime, runTime = 35 * time.Millisecond, 15 * time.Millisecond
	// minStutters within stutterTrial prove it.
	minStutters  = 5
	stutterTrial = time.Second
)

// stutter has a process get the processor in short turns alone, as on a machine that
// others use as well. What it does in several steps is often cut between two of them,
// while the other nodes go on.
func stutter(ctx context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	node := nodes[0]
	done := make(chan struct{})
	var failed error
	var working sync.WaitGroup
	working.Go(func() {
		for failed == nil {
			failed = node.Pause()
			time.Sleep(stillTime)
			failed = errors.Join(failed, node.Continue())
			select {
			case <-time.After(runTime):
			case <-done:
				return
			}
		}
	})
	b := &broken{on: nodes, busy: true, heal: func(context.Context) error {
		close(done)
		working.Wait()
		return failed
	}}
	if count := stops(ctx, node.Process().Pid()); count >= minStutters {
		b.proof = fmt.Sprintf("the kernel called it stopped %d times in %v, and not in between", count, stutterTrial)
	}
	return b, nil
}

// stops counts how often a process is stopped within stutterTrial.
func stops(ctx context.Context, pid int) (count int) {
	trial := time.After(stutterTrial)
	tick := time.NewTicker(stillTime / 10)
	defer tick.Stop()
	for stopped := false; ; {
		select {
		case <-trial:
			return count
		case <-ctx.Done():
			return count
		case <-tick.C:
			was := stopped
			if stopped = stateNow(pid) == "T"; stopped && !was {
				count++
			}
		}
	}
}
