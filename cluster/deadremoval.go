package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// RemovalPolicy says when the leader takes dead members out of the cluster by
// itself. They have been silent for After, and no less than 30 s; 0: never. At least
// MinVoters remain.
type RemovalPolicy struct {
	After     time.Duration
	MinVoters int
}

// removalPause is left after an attempt to remove a dead member that was refused.
const removalPause = time.Minute

// removeDead takes out one member that the policy says is to go, if this node has
// led for as long as the member has to be silent: what a new leader has not heard says little.
// It returns false if there is one that it could not remove.
func (n *Node) removeDead(ctx context.Context, c *core) bool {
	policy := n.cfg.Removal()
	term, led := c.silences.leading()
	if policy.After == 0 || term == 0 || led < policy.After {
		return true
	}
	n.mu.RLock()
	g := n.gossip
	n.mu.RUnlock()
	seen := g.seen()
	removable := true
	for _, dead := range c.silences.dead(max(policy.After, n.cfg.deadAfter)) {
		// Only this node may be cut off from one that others still see.
		if _, alive := seen[dead.ID]; alive {
			continue
		}
		err := n.removeDeadMember(ctx, c, term, dead.ID, policy.MinVoters)
		if err == nil {
			n.cfg.Logger.Warn("removed a dead member from the cluster", "member", dead.ID, "silent_for", dead.SilentFor)
			return true // the next is for the next look
		}
		if ctx.Err() == nil {
			n.cfg.Logger.Warn("a dead member is not removed", "member", dead.ID, "silent_for", dead.SilentFor, "error", err)
		}
		removable = false
	}
	return removable
}

// removeDeadMember does as Remove, but for one that is meant to come back no more
// only by the leader's guess: at least minVoters remain, and a last question is left
// unanswered.
func (n *Node) removeDeadMember(ctx context.Context, c *core, term uint64, id string, minVoters int) error {
	ctx, cancel := context.WithTimeout(ctx, silentTimeouts*n.cfg.ElectionTimeout)
	defer cancel()
	s, ok := c.server(raft.ServerID(id))
	if !ok {
		return nil
	}
	// Before anything is written to the log, too.
	if err := checkVotersWithout(c.servers(), s, minVoters); err != nil {
		return err
	}
	body, err := json.Marshal(memberRequest{NodeID: id})
	if err != nil {
		return err
	}
	mark := c.answers.mark()
	_, err = n.changeMember(ctx, c, term, body, func(p pinned, s raft.Server, _ memberRequest) error {
		if err := checkVotersWithout(p.Servers, s, minVoters); err != nil {
			return err
		}
		if err := n.checkQuorumWithout(ctx, c, term, p, s, false); err != nil {
			return err
		}
		if answered, _ := c.answers.since(mark, term); answered[s.ID] {
			return fmt.Errorf("%s answers again", s.ID)
		}
		return c.drop(ctx, p, s.ID)
	})
	return err
}

// checkVotersWithout refuses to go below the minimum.
func checkVotersWithout(servers []raft.Server, gone raft.Server, minVoters int) error {
	remain := 0
	for _, s := range servers {
		if s.Suffrage == raft.Voter && s.ID != gone.ID {
			remain++
		}
	}
	if gone.Suffrage == raft.Voter && remain < minVoters {
		return fmt.Errorf("without it %d voters remain, and the minimum is %d: %w", remain, minVoters, ErrQuorumAtRisk)
	}
	return nil
}
