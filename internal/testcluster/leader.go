package testcluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pipesync/client"
)

// Leader returns the node that leads now: it says so itself, is ready, and
// most of the nodes that run name it in the same term. It waits until there is
// one.
func (c *Cluster) Leader(ctx context.Context) (*Node, error) {
	var leader *Node
	err := Await(ctx, "a leader", func(ctx context.Context) error {
		var err error
		leader, err = c.leaderNow(ctx)
		return err
	})
	return leader, err
}

func (c *Cluster) leaderNow(ctx context.Context) (*Node, error) {
	running, views := c.views(ctx)
	for _, n := range running {
		self, ok := views[n.ID]
		if !ok || self.Role != "leader" || !self.Ready {
			continue
		}
		votes := 0
		for _, v := range views {
			if v.Leader != nil && v.Leader.ID == n.ID && v.Term == self.Term {
				votes++
			}
		}
		if 2*votes > len(running) {
			return n, nil
		}
	}
	return nil, errors.New("no node is leader to a majority")
}

// views asks all running nodes at once for their status; one that doesn't
// answer soon has none.
func (c *Cluster) views(ctx context.Context) ([]*Node, map[string]client.Status) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var running []*Node
	var mu sync.Mutex
	views := map[string]client.Status{}
	var wg sync.WaitGroup
	for _, n := range c.all() {
		if !n.Running() {
			continue
		}
		running = append(running, n)
		wg.Go(func() {
			status, err := n.Client().Status(ctx)
			if err == nil {
				mu.Lock()
				views[n.ID] = status
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return running, views
}

// Followers returns the running nodes other than the one that leads.
func (c *Cluster) Followers(ctx context.Context) ([]*Node, error) {
	leader, err := c.Leader(ctx)
	if err != nil {
		return nil, err
	}
	var others []*Node
	for _, n := range c.Nodes {
		if n != leader && n.Running() {
			others = append(others, n)
		}
	}
	return others, nil
}

// TransferLeadership makes node the leader and returns when it is.
func (c *Cluster) TransferLeadership(ctx context.Context, node *Node) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	if _, err := leader.Client().TransferLeadership(ctx, node.ID); err != nil {
		return fmt.Errorf("transferring leadership from %s to %s: %w", leader.ID, node.ID, err)
	}
	return Await(ctx, "the leadership of "+node.ID, func(ctx context.Context) error {
		now, err := c.leaderNow(ctx)
		if err == nil && now != node {
			return fmt.Errorf("%s leads", now.ID)
		}
		return err
	})
}
