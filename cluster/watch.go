package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// silentTimeouts of an election without word from a leader make a member ask
// whether it still is one.
const silentTimeouts = 5

// watch notices what happens to this node's membership: that it was removed,
// or that its own address is another than the configuration's.
func (n *Node) watch(ctx context.Context, c *core) {
	tick := time.NewTicker(n.cfg.HeartbeatTimeout)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.leaveNow:
			n.leave()
			return
		case <-tick.C:
		}
		if n.suspectsRemoval(c) && n.confirmsRemoval(ctx, c) {
			n.leave()
			return
		}
		if err := n.keepAddress(ctx, c); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Warn("telling the cluster this node's new address", "error", err)
		}
	}
}

// suspectsRemoval is a reason to ask, never a proof: a configuration without
// this node may be an old one that it is catching up from, or one that was
// never committed; and silence has many causes.
func (n *Node) suspectsRemoval(c *core) bool {
	servers := c.servers()
	if len(servers) == 0 {
		return false
	}
	if _, ok := c.server(c.self); !ok {
		return true
	}
	return c.raft.State() != raft.Leader && n.silence(c) > silentTimeouts*n.cfg.ElectionTimeout
}

// silence is how long this node has not heard from a leader.
func (n *Node) silence(c *core) time.Duration {
	last := c.raft.LastContact()
	if last.Before(n.opened) {
		last = n.opened
	}
	return time.Since(last)
}

type membershipReply struct {
	Member bool `json:"member"`
}

// confirmsRemoval asks the members that this node knows, and believes only the
// leader.
func (n *Node) confirmsRemoval(ctx context.Context, c *core) bool {
	body, err := json.Marshal(memberRequest{NodeID: string(c.self)})
	if err != nil {
		return false
	}
	raw, err := n.askMembers(ctx, c, opMembership, body)
	var reply membershipReply
	return err == nil && json.Unmarshal(raw, &reply) == nil && !reply.Member
}

// serveMembership answers for the leader's committed configuration.
func (n *Node) serveMembership(ctx context.Context, c *core, term uint64, body []byte) ([]byte, error) {
	var req memberRequest
	if err := decodeStrict(body, &req); err != nil {
		return nil, err
	}
	if err := c.leadership.await(ctx, term); err != nil {
		return nil, err
	}
	_, member := c.server(raft.ServerID(req.NodeID))
	if !member {
		// The entry that removed it lies before this barrier, and is committed
		// with it, unless the leader has changed in between.
		err := await(ctx, func() error { return c.raft.Barrier(enqueueTime(ctx)).Error() })
		if err != nil {
			return nil, errors.Join(errNotLeader, err)
		}
		if !leads(c.raft, term) {
			return nil, errOtherTerm
		}
	}
	return json.Marshal(membershipReply{Member: member})
}

// keepAddress has the configuration follow this node to a new address.
func (n *Node) keepAddress(ctx context.Context, c *core) error {
	s, ok := c.server(c.self)
	if !ok || string(s.Address) == n.ports.peerAdvertise {
		return nil
	}
	body, err := json.Marshal(memberRequest{NodeID: string(c.self), PeerAddr: n.ports.peerAdvertise})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, silentTimeouts*n.cfg.ElectionTimeout)
	defer cancel()
	if _, leader := c.leader(); leader == "" {
		// The leader may be looking for this node at its old address.
		_, err = n.askMembers(ctx, c, opReaddress, body)
		return err
	}
	_, _, err = n.onLeader(ctx, opReaddress, body)
	return err
}
