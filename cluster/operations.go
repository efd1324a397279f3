package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// An operation can only be done by the leader. The same function serves a call
// of this node and one that came over the hop.
type operation struct {
	// do runs on the leader of term. It owns body, and calls free when the
	// body's bytes are not held any longer.
	do func(n *Node, ctx context.Context, c *core, term uint64, body []byte, free func()) ([]byte, error)
	// repeatable operations may be sent again after an unknown outcome.
	repeatable bool
	// anyTerm operations may be addressed to anyTerm, by a node that no leader
	// can reach and that therefore knows of none.
	anyTerm bool
}

// anyTerm addresses whichever term the leader is in. A member that isn't the
// leader passes the operation on to it.
const anyTerm = 0

type opName string

const (
	opPropose    opName = "propose"
	opReadIndex  opName = "read-index"
	opMembership opName = "membership"
	opJoin       opName = "join"
	opPromote    opName = "promote"
	opRemove     opName = "remove"
	opReaddress  opName = "readdress"
	opTransfer   opName = "transfer"
	opRotateCA   opName = "rotate-ca"
	// opInfo is answered by any node, not only the leader.
	opInfo opName = "info"
	// opCertify is answered by any member that has the CA.
	opCertify opName = "certify"
	// opFounding is answered by any node, one that belongs to no cluster as well.
	opFounding opName = "founding"
	// opAuthority is answered by any voter that has the CA that is to come.
	opAuthority opName = "authority"
)

func operationNamed(name opName) (operation, bool) {
	switch name {
	case opPropose:
		return operation{do: (*Node).propose}, true
	case opReadIndex:
		return operation{do: small((*Node).serveReadIndex), repeatable: true}, true
	case opMembership:
		return operation{do: small((*Node).serveMembership), repeatable: true, anyTerm: true}, true
	case opJoin:
		return operation{do: small((*Node).serveJoin), repeatable: true}, true
	case opPromote:
		return operation{do: small((*Node).servePromote), repeatable: true}, true
	case opRemove:
		return operation{do: small((*Node).serveRemove), repeatable: true}, true
	case opReaddress:
		return operation{do: small((*Node).serveReaddress), repeatable: true, anyTerm: true}, true
	case opTransfer:
		return operation{do: small((*Node).serveTransfer), repeatable: true}, true
	case opRotateCA:
		return operation{do: small((*Node).serveRotateCA), repeatable: true}, true
	}
	return operation{}, name == opInfo || name == opCertify || name == opAuthority || name == opFounding
}

// small adapts an operation that holds its body no longer than it runs.
func small(f func(*Node, context.Context, *core, uint64, []byte) ([]byte, error)) func(*Node, context.Context, *core, uint64, []byte, func()) ([]byte, error) {
	return func(n *Node, ctx context.Context, c *core, term uint64, body []byte, free func()) ([]byte, error) {
		defer free()
		return f(n, ctx, c, term, body)
	}
}

// defaultOperationTimeout applies to callers without a deadline.
const defaultOperationTimeout = 30 * time.Second

// onLeader does the operation on the leader, wherever it is, until ctx's
// deadline. It repeats what was certainly not applied for a reason that passes,
// and a repeatable operation after an unknown outcome; attempts counts those.
func (n *Node) onLeader(ctx context.Context, name opName, body []byte) (reply []byte, unknowns int, err error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultOperationTimeout)
		defer cancel()
	}
	op, _ := operationNamed(name)
	var last error
	again := n.retries()
	for {
		reply, err := n.attempt(ctx, name, op, body)
		switch {
		case err == nil:
			return reply, unknowns, nil
		case errors.Is(err, ErrOutcomeUnknown) && op.repeatable:
			unknowns++
		case !isRetriable(err):
			return nil, unknowns, err
		}
		// A deadline that passes during an attempt says less than what the
		// attempts before it met.
		if last == nil || !isContext(err) {
			last = err
		}
		if !again.pause(ctx) {
			return nil, unknowns, n.gaveUp(last, unknowns)
		}
	}
}

// gaveUp is the error of an operation whose deadline passed between attempts.
func (n *Node) gaveUp(last error, unknowns int) error {
	select {
	case <-n.stopping:
		return ErrStopped
	default:
	}
	if unknowns > 0 {
		return unknownOutcome("giving up at the deadline", last)
	}
	return fmt.Errorf("%w: the last attempt: %w", ErrNoLeader, last)
}

func (n *Node) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	case <-n.stopping:
		return false
	}
}

// attempt does the operation once, here or over one hop.
func (n *Node) attempt(ctx context.Context, name opName, op operation, body []byte) ([]byte, error) {
	c, err := n.running()
	if err != nil {
		return nil, err
	}
	term, leader := c.leader()
	if leader == "" {
		return nil, fmt.Errorf("no leader is known in term %d: %w", term, errNotLeader)
	}
	flow := n.flow(name, body)
	free, err := n.budget.take(ctx, flow, int64(len(body)))
	if err != nil {
		return nil, err
	}
	if leader == c.self {
		if name == opPropose {
			n.meters.attempts[pathLocal].Inc()
		}
		return op.do(n, ctx, c, term, body, free)
	}
	defer free()
	server, ok := c.server(leader)
	if !ok {
		return nil, fmt.Errorf("leader %s is not in the configuration: %w", leader, errNotLeader)
	}
	if name == opPropose {
		leave, err := n.forwards.take(ctx, flow, 1, int64(len(body)))
		if err != nil {
			return nil, err
		}
		defer leave()
		n.meters.attempts[pathForwarded].Inc()
	}
	ctx, cancel := n.whileLeading(ctx, c, term)
	defer cancel()
	to := c.hopTo(server, name, term)
	to.flow = flow
	return n.hop.send(ctx, to, body)
}

// flow is whose turn the operation takes where there isn't room for all.
func (n *Node) flow(name opName, body []byte) string {
	if name != opPropose {
		return ""
	}
	flow := n.gate.Flow(body)
	return flow[:min(len(flow), maxFlowBytes)]
}

func (c *core) hopTo(s raft.Server, name opName, term uint64) hopRequest {
	return hopRequest{addr: string(s.Address), op: name, term: term, clusterID: c.stream.clusterID, nodeID: string(s.ID)}
}

// askMembers looks for the leader of any term by asking the members that this
// node knows, each once.
func (n *Node) askMembers(ctx context.Context, c *core, name opName, body []byte) (reply []byte, err error) {
	err = errNotLeader
	for _, s := range c.servers() {
		if s.ID == c.self {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, max(n.cfg.ElectionTimeout, peerDialTimeout))
		reply, err = n.hop.send(ask, c.hopTo(s, name, anyTerm), body)
		cancel()
		if err == nil {
			return reply, nil
		}
	}
	return nil, err
}
