package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
)

// rotationTimeout bounds one attempt to change the cluster's gossip keys.
const rotationTimeout = 10 * time.Second

// heldRings are the rings that the other members gossip with, by id, of those that
// have answered when they were last asked.
type heldRings struct {
	mu sync.Mutex
	of map[string]*heldRing
}

func (h *heldRings) learn(rings map[string]*heldRing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of = rings
}

// keys are the fingerprints of those that a member has, nil where that isn't known.
func (h *heldRings) keys(id string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ring := h.of[id]; ring != nil {
		return ring.Keys
	}
	return nil
}

// ring is what this node is to gossip with: before the cluster has keys, the key that
// this node was given, if any.
func (n *Node) ring() GossipRing {
	ring := n.cfg.GossipKeys.Ring()
	if ring.Revision == 0 && len(n.cfg.GossipKey) > 0 {
		ring.Keys = [][]byte{n.cfg.GossipKey}
	}
	return ring
}

// holdRing has gossip use the keys that this node has applied, and returns the ring
// that it uses; nil: none.
func (n *Node) holdRing() *heldRing {
	n.mu.RLock()
	g := n.gossip
	n.mu.RUnlock()
	ring := n.ring()
	if n.ports.gossip == nil {
		return ring.held() // there is nothing that could lack it
	}
	if g == nil {
		return nil
	}
	if err := g.use(ring); err != nil {
		n.cfg.Logger.Error("gossip goes on without the cluster's keys", "error", err)
	}
	_, held := g.started()
	return held
}

// turnRing gives the cluster its first gossip key, or goes on with a rotation once
// every member has the ring that it is at, if this node leads. rings is what the
// others have just reported, by id.
func (n *Node) turnRing(ctx context.Context, c *core, rings map[string]*heldRing) error {
	ring := n.cfg.GossipKeys.Ring()
	if c.raft.State() != raft.Leader || len(ring.Keys) == 1 {
		return nil
	}
	if missing := n.lackRing(c, ring.Revision, rings); ring.Revision > 0 && len(missing) > 0 && !planted.Is(planted.HastyRotation) {
		n.cfg.Logger.Debug("the rotation of the gossip key waits", "revision", ring.Revision, "for", missing)
		return nil
	}
	next := n.cfg.GossipKeys.First
	if ring.Revision > 0 {
		next = func() ([]byte, error) { return n.cfg.GossipKeys.Advance(ring.Revision) }
	}
	body, err := next()
	if err != nil || body == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rotationTimeout)
	defer cancel()
	if _, err := n.propose(ctx, c, c.raft.CurrentTerm(), body, func() {}); err != nil {
		return fmt.Errorf("going on from revision %d: %w", ring.Revision, err)
	}
	return nil
}

// lackRing are the members without a ring of the revision or a later one. Those don't
// count that have nothing to lose, and that their log brings the ring: whose gossip has
// not started, and the dead, which gossip doesn't see.
func (n *Node) lackRing(c *core, revision uint64, rings map[string]*heldRing) (missing []string) {
	n.mu.RLock()
	g := n.gossip
	n.mu.RUnlock()
	seen, dead := g.seen(), c.silences.dead(n.cfg.deadAfter)
	for _, s := range c.servers() {
		id := string(s.ID)
		held, answered := rings[id]
		if s.ID == c.self {
			held, answered = n.holdRing(), true
		}
		if answered && (held == nil || held.Revision >= revision) {
			continue
		}
		_, alive := seen[id]
		if !alive && slices.ContainsFunc(dead, func(d DeadMember) bool { return d.ID == id }) {
			continue
		}
		missing = append(missing, id)
	}
	return missing
}
