package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// Remove takes nodeID out of the configuration, from any member. A leader that
// is named hands leadership over first. It refuses with ErrQuorumAtRisk, and
// the arithmetic, if the voters that remain and answer would be no quorum;
// force goes ahead all the same, except for the last voter. The removed node
// notices, stops, and never comes back under its id.
//
// Errors: ErrUnknownMember, ErrQuorumAtRisk, ErrTransferFailed, or one of
// Propose's classes.
func (n *Node) Remove(ctx context.Context, nodeID string, force bool) error {
	body, err := json.Marshal(memberRequest{NodeID: nodeID, Force: force})
	if err != nil {
		return fmt.Errorf("removing %s: %w", nodeID, err)
	}
	_, unknowns, err := n.onLeader(ctx, opRemove, body)
	if errors.Is(err, ErrUnknownMember) && unknowns > 0 {
		err = nil // an earlier attempt of this call removed it
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", nodeID, err)
	}
	if nodeID == n.identity().NodeID {
		select {
		case n.leaveNow <- struct{}{}:
		default:
		}
	}
	return nil
}

func (n *Node) serveRemove(ctx context.Context, c *core, term uint64, body []byte) ([]byte, error) {
	return n.changeMember(ctx, c, term, body, func(p pinned, s raft.Server, req memberRequest) error {
		if err := n.checkQuorumWithout(ctx, c, term, p, s, req.Force); err != nil {
			return err
		}
		if s.ID != c.self {
			return c.drop(ctx, p, s.ID)
		}
		if err := c.transfer(ctx, ""); err != nil {
			return err
		}
		return fmt.Errorf("leadership was handed over: %w", errNotLeader)
	})
}

// checkQuorumWithout does the arithmetic of a removal. Only voters that answer
// now count as remaining: one that is down can't help to commit the change.
func (n *Node) checkQuorumWithout(ctx context.Context, c *core, term uint64, p pinned, gone raft.Server, force bool) error {
	if gone.Suffrage != raft.Voter {
		return nil
	}
	alive, err := c.reachable(ctx, term, 2*n.cfg.HeartbeatTimeout)
	if err != nil {
		return err
	}
	var remain, answer []string
	for _, s := range p.Servers {
		if s.Suffrage != raft.Voter || s.ID == gone.ID {
			continue
		}
		remain = append(remain, string(s.ID))
		if s.ID == c.self || alive[s.ID] {
			answer = append(answer, string(s.ID))
		}
	}
	if len(remain) == 0 {
		return fmt.Errorf("%s is the only voter: 0 voters would remain: %w", gone.ID, ErrQuorumAtRisk)
	}
	quorum := len(remain)/2 + 1
	if len(answer) >= quorum || force {
		return nil
	}
	slices.Sort(answer)
	return fmt.Errorf("without %s %d voters remain, a quorum of them is %d, and %d answer (%s): %w",
		gone.ID, len(remain), quorum, len(answer), strings.Join(answer, ", "), ErrQuorumAtRisk)
}

// reachable returns the peers that answer a request sent after the call began,
// as soon as all have, or when patience ends. Nobody answers who has another leader
// by then: that is errNotLeader, and says nothing about them.
func (c *core) reachable(ctx context.Context, term uint64, patience time.Duration) (map[raft.ServerID]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	mark := c.answers.mark()
	_ = c.verify(ctx)
	for {
		lost := c.leadership.change()
		if !leads(c.raft, term) {
			return nil, fmt.Errorf("asking which voters answer: %w", errNotLeader)
		}
		got, changed := c.answers.since(mark, term)
		missing := slices.ContainsFunc(c.servers(), func(s raft.Server) bool {
			return s.Suffrage == raft.Voter && s.ID != c.self && !got[s.ID]
		})
		if !missing {
			return got, nil
		}
		select {
		case <-changed:
		case <-lost:
		case <-ctx.Done():
			return got, nil
		}
	}
}
