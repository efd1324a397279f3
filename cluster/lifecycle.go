package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// enter makes this node a running member under id, which it writes down first.
// The lifecycle lock is held, except by open.
func (n *Node) enter(id identity) error {
	if err := n.changeIdentity(func(now *identity) { *now = id }); err != nil {
		return err
	}
	c, err := startCore(coreConfig{Config: n.cfg, id: id, sm: n.sm, gate: n.gate, meters: n.meters, hangUp: n.mux.closeRaft, stream: &raftStream{
		connQueue: n.mux.raft, dialer: n.cfg.dialer(), clusterID: id.ClusterID, advertise: peerAddr(n.ports.peerAdvertise),
	}})
	if err != nil {
		return err
	}
	g := newGossip(n.cfg, id, n.ports)
	if g != nil {
		if err := g.use(n.ring()); err != nil {
			return errors.Join(err, c.shutdown())
		}
	}
	n.mu.Lock()
	n.core, n.gossip = c, g
	n.mu.Unlock()
	if id.Pending == pendingBootstrap {
		if err := n.changeIdentity(func(id *identity) { id.Pending = pendingNone }); err != nil {
			return err
		}
	}
	n.unregisterCore = n.register(n.coreCollectors(c))
	ctx, cancel := context.WithCancel(context.Background())
	n.endMember = cancel
	n.background.Go(func() { n.watch(ctx, c) })
	n.background.Go(func() { n.settle(ctx) })
	if g != nil {
		n.background.Go(func() { n.keepGossip(ctx, c, g) })
	}
	n.background.Go(func() { n.exchange(ctx, c) })
	if n.cfg.Certs != nil {
		n.background.Go(func() { n.keepCertified(ctx, c) })
		n.background.Go(func() { n.keepRotated(ctx, c) })
	}
	return nil
}

// exit stops what enter has started, and returns whether there was anything.
// The lifecycle lock is held. Whoever still holds the core finds it stopped.
func (n *Node) exit() (bool, error) {
	n.mu.Lock()
	c, g := n.core, n.gossip
	n.core, n.gossip = nil, nil
	n.mu.Unlock()
	if c == nil {
		return false, nil
	}
	n.endMember()
	n.unregisterCore()
	err := errors.Join(c.shutdown(), g.stop(n.cfg.Logger))
	n.mux.closeRaft()
	return true, err
}

// leave ends the membership of a node that was removed, for good.
func (n *Node) leave() {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	if n.isStopping() || n.identity().Removed {
		return
	}
	err := n.changeIdentity(func(id *identity) { id.Removed, id.Pending = true, pendingNone })
	if err != nil {
		// Nothing is lost: after a restart the node notices its removal again.
		n.cfg.Logger.Error("noting the removal from the cluster", "error", err)
	}
	n.cfg.Logger.Info("removed from the cluster", "node", n.identity().NodeID)
	if _, err := n.exit(); err != nil {
		n.cfg.Logger.Error("stopping after the removal", "error", err)
	}
	close(n.removed)
}

const (
	// shutdownPatience bounds the steps of a shutdown that wait for others.
	shutdownPatience = 5 * time.Second
	// hopFarewell bounds the wait for the replies to other members' calls. With
	// Raft stopped they are immediate; a connection that was never used would be
	// waited for much longer.
	hopFarewell = 500 * time.Millisecond
)

// Shutdown hands leadership over if this node leads, waits for its open
// proposals, and releases everything. It never leaves the cluster. ctx bounds
// the waiting; the rest is done in any case. A second call returns the first's
// error.
func (n *Node) Shutdown(ctx context.Context) error {
	n.stopOnce.Do(func() { n.stopErr = n.shutdown(ctx) })
	return n.stopErr
}

func (n *Node) shutdown(ctx context.Context) error {
	n.mu.RLock()
	c := n.core
	n.mu.RUnlock()
	n.endLife()
	wait, cancel := context.WithTimeout(ctx, shutdownPatience)
	defer cancel()
	if c != nil {
		n.handOver(wait, c)
	}
	n.flights.drain(wait)

	n.lifecycle.Lock()
	entered, err := n.exit()
	n.lifecycle.Unlock()
	if !entered && n.ports.gossip != nil {
		n.ports.drainGossip()
	}
	replies, cancelReplies := context.WithTimeout(context.Background(), hopFarewell)
	defer cancelReplies()
	if serr := n.server.Shutdown(replies); serr != nil {
		_ = n.server.Close()
	}
	err = errors.Join(err, n.mux.Close())
	n.reads.close()
	n.confirms.close()
	n.background.Wait()
	n.hop.close()
	n.unregister()
	return err
}

// handOver spares the others the wait for an election.
func (n *Node) handOver(ctx context.Context, c *core) {
	others := false
	for _, s := range c.servers() {
		others = others || s.Suffrage == raft.Voter && s.ID != c.self
	}
	if !others || c.raft.State() != raft.Leader {
		return
	}
	if err := c.transfer(ctx, ""); err != nil {
		n.cfg.Logger.Warn("handing leadership over before the stop", "error", err)
	}
}

// drainGossip closes the gossip port of a node that never used it. Its
// transport hands connections to a reader and waits for it when it stops.
func (p ports) drainGossip() {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case c := <-p.gossip.StreamCh():
				_ = c.Close()
			case <-p.gossip.PacketCh():
			case <-stop:
				return
			}
		}
	}()
	_ = p.gossip.Shutdown()
	close(stop)
	<-done
}
