package cluster

import (
	"context"
	"time"
)

const (
	minRetryDelay = 5 * time.Millisecond
	maxRetryDelay = 200 * time.Millisecond
)

// retries are the pauses between attempts at what takes a leader, or between looks for one.
// Each is twice as long as the one before, up to maxRetryDelay. One ends at once when this
// node hears of another leader, and they begin anew.
type retries struct {
	node  *Node
	delay time.Duration
	news  <-chan struct{} // from before the attempt; nil: the node is in no cluster
}

// retries begins those of one operation, before its first attempt.
func (n *Node) retries() *retries {
	r := &retries{node: n}
	r.begin()
	return r
}

func (r *retries) begin() { r.delay, r.news = minRetryDelay, r.node.newsOfLeader() }

// pause returns false where ctx or the node has ended.
func (r *retries) pause(ctx context.Context) bool {
	t := time.NewTimer(r.delay)
	defer t.Stop()
	select {
	case <-r.news:
		r.begin()
		return ctx.Err() == nil
	case <-t.C:
		r.delay = min(2*r.delay, maxRetryDelay)
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	case <-r.node.stopping:
		return false
	}
}

// newsOfLeader is closed when this node hears of another leader, or that there is none.
func (n *Node) newsOfLeader() <-chan struct{} {
	c, err := n.running()
	if err != nil {
		return nil
	}
	return c.succession.change()
}
