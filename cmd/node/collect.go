package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"pipesync/fsm"
)

const (
	// collectEvery is how often the leader looks for tombstones that are due.
	// They are due for a good while, so that little hangs on it.
	collectEvery = 10 * time.Minute
	// collectGap is left between two steps, so that collecting never takes more
	// than a fraction of what the cluster can do.
	collectGap = 100 * time.Millisecond
	// maxCollectNamespaces bounds one round; the next goes on with the others.
	maxCollectNamespaces = 1000
)

// collector has tombstones removed that have been kept for long enough, while
// this node leads. What is due, fsm decides; every node removes it by an entry.
type collector struct {
	state interface{ View() (*fsm.View, error) }
	// clusterTime is 0 while this node doesn't lead.
	clusterTime func() int64
	propose     func(ctx context.Context, body []byte) error
	gap         time.Duration
	log         *slog.Logger
}

// collectTombstones starts the collector.
func (n *node) collectTombstones() error {
	c := &collector{state: n.state, clusterTime: n.leadingTime, propose: n.propose, gap: collectGap, log: n.log}
	n.inBackground("the collector of tombstones", c.run)
	return nil
}

// run works until ctx ends.
func (c *collector) run(ctx context.Context) {
	for pause(ctx, collectEvery) == nil {
		if err := c.round(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("could not collect tombstones; trying again later", "error", err, "again_in", collectEvery)
		}
	}
}

// round collects what is due now. A sweep that is broken off is begun anew by
// the next round, of whichever node leads then.
func (c *collector) round(ctx context.Context) error {
	now := c.clusterTime()
	if now == 0 {
		return nil
	}
	due, err := c.due(now)
	if err != nil {
		return err
	}
	for _, sweep := range due {
		for !sweep.Done() && c.clusterTime() != 0 {
			if err := c.step(ctx, sweep); err != nil {
				return err
			}
			if err := pause(ctx, c.gap); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *collector) due(now int64) ([]*fsm.Sweep, error) {
	view, err := c.state.View()
	if err != nil {
		return nil, fmt.Errorf("looking for tombstones: %w", err)
	}
	defer view.Close()
	due, err := view.Sweeps(now, maxCollectNamespaces)
	if err != nil {
		return nil, fmt.Errorf("looking for tombstones: %w", err)
	}
	return due, nil
}

func (c *collector) step(ctx context.Context, sweep *fsm.Sweep) error {
	command, err := c.next(sweep)
	if err != nil || command == nil {
		return err
	}
	_, _ = rand.Read(command.RequestID[:]) // never fails: see crypto/rand
	body, err := fsm.Encode(command)
	if err != nil {
		return err
	}
	return c.propose(ctx, body)
}

func (c *collector) next(sweep *fsm.Sweep) (*fsm.Collect, error) {
	view, err := c.state.View()
	if err != nil {
		return nil, fmt.Errorf("sweeping a namespace: %w", err)
	}
	defer view.Close()
	command, err := sweep.Next(view)
	if err != nil {
		return nil, fmt.Errorf("sweeping a namespace: %w", err)
	}
	return command, nil
}
