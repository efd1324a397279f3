package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pipesync/internal/bench/load"
	"pipesync/internal/testcluster"
)

const (
	// writersPause is that of the writers whose latency is watched.
	writersPause = 20 * time.Millisecond
	idleFor      = 30 * time.Second // they are watched before anything happens
)

// watched is the latency of a writer of single operations through one node.
type watched struct {
	times []time.Duration
	err   error
}

// watch has a writer go on until stop is called, which returns the 99th percentile.
func (p *pipesync) watch(ctx context.Context, n *testcluster.Node) (stop func() (p99 float64, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	w := &watched{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			began := time.Now()
			err := p.writeOne(ctx, n)
			if ctx.Err() != nil {
				return
			}
			w.times = append(w.times, time.Since(began))
			w.err = errors.Join(w.err, err)
			time.Sleep(writersPause)
		}
	}()
	return func() (float64, error) {
		cancel()
		<-done
		if w.err != nil || len(w.times) == 0 {
			return 0, errors.Join(w.err, errors.New("watching single operations: some failed, or there were none"))
		}
		slices.Sort(w.times)
		return load.Percentile(w.times, 99).Seconds(), nil
	}
}

// during measures the p99 of single operations to the leader while something happens, as a
// multiple of what it is while nothing does.
func (p *pipesync) during(ctx context.Context, happen func(context.Context) error) (float64, error) {
	leader, err := p.cluster.Leader(ctx)
	if err != nil {
		return 0, err
	}
	stop := p.watch(ctx, leader)
	select {
	case <-time.After(idleFor):
	case <-ctx.Done():
	}
	idle, err := stop()
	if err != nil {
		return 0, err
	}
	stop = p.watch(ctx, leader)
	happened := happen(ctx)
	busy, err := stop()
	return busy / idle, errors.Join(happened, err)
}

// join has a node with an empty disk join, and leave again.
func (p *pipesync) join(ctx context.Context) ([]fact, error) {
	leader, err := p.cluster.Leader(ctx)
	if err != nil {
		return nil, err
	}
	n, err := p.cluster.NewSpare()
	if err != nil {
		return nil, err
	}
	var took float64
	ratio, err := p.during(ctx, func(ctx context.Context) error {
		began := time.Now()
		if err := n.Start("--join", leader.Peer); err != nil {
			return err
		}
		if err := n.AwaitReady(ctx); err != nil {
			return err
		}
		took = time.Since(began).Seconds()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := p.cluster.Client("").RemoveMember(ctx, n.ID, false); err != nil {
		return nil, err
	}
	return []fact{
		atMost(30, "a new node has caught up", took, "s"),
		atMost(2, "p99 of the leader's syncs meanwhile", ratio, "× idle"),
	}, n.Kill9()
}

// refresh replaces all records of the batches' namespace by 5000.
func (p *pipesync) refresh(ctx context.Context) ([]fact, error) {
	n, err := p.cluster.Leader(ctx)
	if err != nil {
		return nil, err
	}
	j := batch(load.Fresh, 1, 1, load.Leader)
	whole, err := p.batches.refresh(j)
	if err != nil {
		return nil, err
	}
	var took float64
	ratio, err := p.during(ctx, func(ctx context.Context) error {
		began := time.Now()
		if err := p.send(ctx, whole, n, j); err != nil {
			return err
		}
		took, err = p.reconciled(ctx, n, began)
		return err
	})
	return []fact{
		{Name: "a full refresh and its reconcile", Value: took, Unit: "s"},
		atMost(3, "p99 of other syncs meanwhile", ratio, "× idle"),
	}, err
}

// reconciled waits until the leader has applied an entry of a reconcile, and no more for a
// while, and returns the seconds from began to the last.
func (p *pipesync) reconciled(ctx context.Context, n *testcluster.Node, began time.Time) (seconds float64, err error) {
	since, err := still(ctx, 1, func() (float64, error) {
		return metric(ctx, p.cluster.HTTPClient(), n.HTTP, `pipesync_entries_total{kind="reconcile",`)
	})
	if err != nil {
		return 0, fmt.Errorf("awaiting the end of the reconcile: %w", err)
	}
	return since.Sub(began).Seconds(), nil
}

// metric adds up the samples of a node that begin so.
func metric(ctx context.Context, c *http.Client, node, prefix string) (sum float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, node+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), prefix) {
			value, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
			if err != nil {
				return 0, fmt.Errorf("reading a metric: %w", err)
			}
			sum += value
		}
	}
	return sum, lines.Err()
}
