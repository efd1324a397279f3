package cluster

import (
	"context"
	"fmt"
	"time"
)

// ReadIndex returns an index such that a state machine which has applied it
// holds every write that was acknowledged, or shown by a state machine, before
// the call, anywhere in the cluster. The caller waits for its own state machine
// to apply it. Errors match ErrNotApplied; a read can always be repeated.
func (n *Node) ReadIndex(ctx context.Context) (uint64, error) {
	began := time.Now()
	index, err := n.readIndex(ctx)
	n.meters.read(began, err)
	return index, err
}

func (n *Node) readIndex(ctx context.Context) (uint64, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultOperationTimeout)
		defer cancel()
	}
	again := n.retries()
	for {
		point, err := n.reads.join(ctx)
		if err == nil {
			return point.index, nil
		}
		if _, err := n.running(); err != nil {
			return 0, fmt.Errorf("asking for a read index: %w", err)
		}
		// A round may end before its readers' deadlines do.
		if ctx.Err() != nil || !again.pause(ctx) {
			return 0, n.gaveUpReading(err)
		}
	}
}

// gaveUpReading drops the class of the last attempt: a read has no outcome.
func (n *Node) gaveUpReading(last error) error {
	select {
	case <-n.stopping:
		return fmt.Errorf("asking for a read index: %w", ErrStopped)
	default:
		return fmt.Errorf("asking for a read index: %w: the last attempt: %s", ErrNoLeader, last.Error())
	}
}

// fetchReadPoint is a round of this node's readers: a confirmation here if it
// leads, else one hop. It tries once, so that a leader that hangs holds up no
// reader longer than the round lasts.
func (n *Node) fetchReadPoint(ctx context.Context) (readPoint, error) {
	op, _ := operationNamed(opReadIndex)
	reply, err := n.attempt(ctx, opReadIndex, op, nil)
	if err != nil {
		return readPoint{}, err
	}
	index, err := decodeIndex(reply)
	return readPoint{index: index}, err
}

// confirmReadPoint is a round of confirmation on the leader.
func (n *Node) confirmReadPoint(ctx context.Context) (readPoint, error) {
	c, err := n.running()
	if err != nil {
		return readPoint{}, err
	}
	return c.readIndex(ctx)
}

func (n *Node) serveReadIndex(ctx context.Context, c *core, term uint64, _ []byte) ([]byte, error) {
	if err := c.leadership.await(ctx, term); err != nil {
		return nil, err
	}
	point, err := n.confirms.join(ctx)
	if err != nil {
		return nil, err
	}
	if point.term != term {
		return nil, fmt.Errorf("addressed in term %d, now in %d: %w", term, point.term, errOtherTerm)
	}
	return encodeIndex(point.index), nil
}
