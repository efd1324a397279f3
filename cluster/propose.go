package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Propose brings body to the leader, which admits it, appends it to the log as
// one entry, and returns what the state machine answered. It works on any
// member, at most one hop from the leader.
//
// On failure the error matches exactly one of ErrNotApplied and
// ErrOutcomeUnknown. What was not applied for a passing reason (an election, a
// transfer, a broken dial) is repeated here until ctx's deadline, or for 30 s if
// it has none; an unknown outcome is returned at once and never repeated.
//
// The node keeps body, also after it has returned: it must not change again.
func (n *Node) Propose(ctx context.Context, body []byte) ([]byte, error) {
	began := time.Now()
	reply, _, err := n.onLeader(ctx, opPropose, body)
	n.meters.proposed(began, err)
	if err != nil {
		return nil, fmt.Errorf("proposing %d bytes: %w", len(body), err)
	}
	return reply, nil
}

// propose runs on the leader of term. The body's bytes and the gate's admission
// are held until Raft has told the outcome, even if nobody waits for it.
func (n *Node) propose(ctx context.Context, c *core, term uint64, body []byte, free func()) ([]byte, error) {
	if !n.flights.begin() {
		free()
		return nil, ErrStopped
	}
	if err := c.leadership.await(ctx, term); err != nil {
		n.flights.end()
		free()
		return nil, err
	}
	if err := n.space.refuse(); err != nil {
		n.flights.end()
		free()
		return nil, err
	}
	reply, release, err := n.gate.Admit(ctx, term, body)
	if err != nil {
		n.flights.end()
		free()
		return nil, classifyAdmit(err)
	}
	if reply != nil {
		n.flights.end()
		free()
		return reply, n.confirmRefusal(ctx, c, term)
	}
	settle := func(reply []byte) {
		release(reply)
		free()
		n.flights.end()
	}
	timeout := maxEnqueueTime
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if timeout <= 0 || ctx.Err() != nil {
		settle(nil)
		return nil, errLeaderBusy
	}
	future := c.raft.ApplyLog(raft.Log{Data: body, Extensions: n.gate.Stamp(term, body)}, timeout)
	done := make(chan applied, 1)
	go func() {
		a := applied{err: classifyApply(future.Error())}
		if a.err == nil {
			a.reply, a.err = classifyResponse(future.Response())
		}
		settle(a.reply)
		done <- a
	}()
	select {
	case a := <-done:
		return a.reply, a.err
	case <-ctx.Done():
		return nil, unknownOutcome("awaiting the commit", context.Cause(ctx))
	case <-c.stopped:
		return nil, unknownOutcome("awaiting the commit", raft.ErrRaftShutdown)
	}
}

type applied struct {
	reply []byte
	err   error
}

// maxEnqueueTime bounds the wait for Raft's main loop to take an entry.
const maxEnqueueTime = 30 * time.Second

// confirmRefusal makes sure that a reply decided from applied state, without a
// log entry, was not decided by a leader that had been deposed already.
func (n *Node) confirmRefusal(ctx context.Context, c *core, term uint64) error {
	point, err := n.confirms.join(ctx)
	if err != nil {
		return err
	}
	if point.term != term {
		return fmt.Errorf("confirming a refusal of term %d in term %d: %w", term, point.term, errOtherTerm)
	}
	return nil
}
