package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pipesync/internal/bench/load"
	"pipesync/internal/testcluster"
)

const (
	restarts = 9
	// A node that starts is asked so often whether it is ready: it takes a few hundredths of
	// a second.
	readyEvery   = 2 * time.Millisecond
	readyTimeout = time.Minute
	// writeTimeout bounds an attempt at a write while there may be no leader.
	writeTimeout = 2 * time.Second
)

// restartSeconds is the median time from the start of a node's process until it is ready.
func (p *pipesync) restartSeconds(ctx context.Context) (float64, error) {
	var all []float64
	for range restarts {
		followers, err := p.cluster.Followers(ctx)
		if err != nil {
			return 0, err
		}
		n := followers[0]
		if err := n.Stop(ctx); err != nil {
			return 0, err
		}
		seconds, err := startSeconds(ctx, n)
		if err != nil {
			return 0, err
		}
		all = append(all, seconds)
	}
	slices.Sort(all)
	return load.Percentile(all, 50), nil
}

func startSeconds(ctx context.Context, n *testcluster.Node) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	began := time.Now()
	if err := n.Start(); err != nil {
		return 0, err
	}
	err := testcluster.AwaitEvery(ctx, "the readiness of "+n.ID, readyEvery, n.Client().Ready)
	return time.Since(began).Seconds(), err
}

// failover kills the leader again and again, and measures how long nothing is
// acknowledged: single operations through the survivors, by a client that tries again at
// once.
func (p *pipesync) failover(ctx context.Context, times int) ([]fact, error) {
	var all []float64
	for range times {
		leader, err := p.cluster.Leader(ctx)
		if err != nil {
			return nil, err
		}
		survivors, err := p.cluster.Followers(ctx)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := leader.Kill9(); err != nil {
			return nil, err
		}
		if err := p.awaitWrite(ctx, survivors); err != nil {
			return nil, err
		}
		all = append(all, time.Since(began).Seconds())
		if err := leader.Restart(ctx); err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return []fact{
		atMost(1, "next write after the leader's end, median", load.Percentile(all, 50), "s"),
		atMost(2, fmt.Sprintf("the same, worst of %d", times), load.Percentile(all, 100), "s"),
	}, nil
}

// awaitWrite returns when one of the nodes, asked in turn, has acknowledged an operation.
func (p *pipesync) awaitWrite(ctx context.Context, nodes []*testcluster.Node) error {
	return testcluster.Await(ctx, "a write", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		var errs []error
		for _, n := range nodes {
			err := p.writeOne(ctx, n)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// writeOne writes a new record of one of the single organizations.
func (p *pipesync) writeOne(ctx context.Context, n *testcluster.Node) error {
	j := single(load.Fresh, 1, 1, load.Leader)
	requests, err := p.singles.prepare(j)
	if err != nil {
		return err
	}
	return p.send(ctx, requests[0], n, j)
}
