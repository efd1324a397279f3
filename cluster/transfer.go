package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// TransferLeadership hands leadership to nodeID, or to the most advanced other
// voter if it is empty, and returns when this node knows the new leader. It is
// done already if nodeID leads.
//
// Errors: ErrUnknownMember if nodeID is no voter, ErrTransferFailed, or one of
// Propose's classes.
func (n *Node) TransferLeadership(ctx context.Context, nodeID string) error {
	ctx, cancel := context.WithTimeout(ctx, defaultOperationTimeout)
	defer cancel()
	if err := n.transferLeadership(ctx, nodeID); err != nil {
		return fmt.Errorf("transferring leadership: %w", err)
	}
	return nil
}

func (n *Node) transferLeadership(ctx context.Context, nodeID string) error {
	body, err := json.Marshal(memberRequest{NodeID: nodeID})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		old, _, err := n.onLeader(ctx, opTransfer, body)
		if err != nil {
			return err
		}
		if n.awaitLeader(ctx, nodeID, string(old)) {
			return nil
		}
		// Another voter has won the election, or the old leader again.
	}
	return fmt.Errorf("the leader is %q: %w", n.LeaderID(), ErrTransferFailed)
}

// awaitLeader waits for the leader wanted, or if none is named for another than
// old, as long as an election may take.
func (n *Node) awaitLeader(ctx context.Context, wanted, old string) bool {
	ctx, cancel := context.WithTimeout(ctx, silentTimeouts*n.cfg.ElectionTimeout)
	defer cancel()
	again := n.retries()
	for {
		leader := n.LeaderID()
		if leader != "" && (leader == wanted || wanted == "" && leader != old) {
			return true
		}
		if !again.pause(ctx) {
			return false
		}
	}
}

// serveTransfer answers with the id of the leader that was.
func (n *Node) serveTransfer(ctx context.Context, c *core, term uint64, body []byte) ([]byte, error) {
	if err := c.leadership.await(ctx, term); err != nil {
		return nil, err
	}
	var req memberRequest
	if err := decodeStrict(body, &req); err != nil {
		return nil, err
	}
	if raft.ServerID(req.NodeID) == c.self {
		return []byte(c.self), nil
	}
	if err := c.transfer(ctx, raft.ServerID(req.NodeID)); err != nil {
		return nil, err
	}
	return []byte(c.self), nil
}

const (
	// transferAttempts are made because Raft gives each no longer than one election
	// timeout, which a busy machine exceeds now and then.
	transferAttempts = 5
	// moreAnswers are awaited before another attempt: the request of the last one is
	// taken up with one of them.
	moreAnswers = 8
)

// transfer hands leadership to to, or to any other voter. When it returns nil
// this node leads no more.
//
// Only a voter that has just answered is asked. Before it hands over, Raft asks its
// goroutine for the voter to bring it up to date. Where that hangs in a request, a
// second attempt waits for the first to be taken up; and should leadership be lost
// meanwhile, then for ever, and Raft refuses whatever it is asked to append when it
// leads again, because a transfer is in progress (hashicorp/raft issue 696).
func (c *core) transfer(ctx context.Context, to raft.ServerID) error {
	var candidates []raft.ServerID
	for _, s := range c.servers() {
		if s.Suffrage == raft.Voter && s.ID != c.self && (to == "" || s.ID == to) {
			candidates = append(candidates, s.ID)
		}
	}
	if len(candidates) == 0 && to != "" {
		return fmt.Errorf("%q is no voter: %w", to, ErrUnknownMember)
	}
	if len(candidates) == 0 {
		return fmt.Errorf("there is no other voter: %w", ErrTransferFailed)
	}
	term := c.raft.CurrentTerm()
	patience := c.raft.ReloadableConfig().ElectionTimeout
	var err error
	answers := uint64(1)
	for range transferAttempts {
		var chosen raft.ServerID
		if chosen, err = c.deliveries.await(ctx, candidates, answers, patience); err == nil {
			err = await(ctx, func() error { return c.transferOnce(chosen) })
			answers = moreAnswers
		}
		// An attempt that Raft has given up may come true after that. Whoever took this for a
		// refusal would have the new leader hand over again.
		if err == nil || !leads(c.raft, term) {
			return nil
		}
		select {
		case <-time.After(maxRetryDelay):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrTransferFailed, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrTransferFailed, err)
}

// transferOnce is like verify: Raft may have stopped before it takes the request up,
// and then never answers.
func (c *core) transferOnce(to raft.ServerID) error {
	if !c.questions.begin() {
		return raft.ErrRaftShutdown
	}
	defer c.questions.end()
	s, _ := c.server(to)
	return c.raft.LeadershipTransferToServer(s.ID, s.Address).Error()
}
