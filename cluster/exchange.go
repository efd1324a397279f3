package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// exchangeInterval is how often members ask one another how they are, at least.
	exchangeInterval = 2 * time.Second
	// maxInfoBytes bounds what one member believes of another's answer.
	maxInfoBytes = 64 << 10
	// handOverPause is left after an attempt to hand leadership over, so that two
	// members that both shouldn't lead don't toss it to and fro.
	handOverPause = 15 * time.Second
)

// infoReply is what any member tells another about itself. Later versions add
// fields; those that aren't known are ignored.
type infoReply struct {
	NodeID     string `json:"node_id"`
	GossipAddr string `json:"gossip_addr"` // empty: its gossip has not started
	WallNanos  int64  `json:"wall_nanos"`  // its own clock, not corrected
	DiskFull   bool   `json:"disk_full,omitempty"`
	// ClusterVersion is the newest that the node's program supports.
	ClusterVersion uint32 `json:"cluster_version"`
	// Report is the Auditor's.
	Report json.RawMessage `json:"report,omitempty"`
	// Authority says that the node has the key of the cluster's CA.
	Authority bool `json:"authority,omitempty"`
	// Rotation is how far it is with the rotation of the CA that it knows of.
	Rotation *rotationReport `json:"rotation,omitempty"`
	// Followers are the members by id, as the leader sees them; nil: the node doesn't
	// lead.
	Followers map[string]Follower `json:"followers,omitempty"`
	// GossipKeys are those that the node gossips with; nil: none.
	GossipKeys *heldRing `json:"gossip_keys,omitempty"`
}

func (n *Node) serveInfo() ([]byte, error) {
	info := infoReply{
		NodeID: n.identity().NodeID, GossipKeys: n.holdRing(), WallNanos: n.cfg.Clocks.own.Wall().UnixNano(),
		ClusterVersion: n.cfg.Versions.Supported(), DiskFull: n.space.isLow(),
		Report: n.cfg.Auditor.Report(),
	}
	if info.GossipKeys != nil {
		info.GossipAddr = n.ports.gossipAdvertise
	}
	if n.cfg.Certs != nil {
		rotation := n.rotating.report()
		info.Authority, info.Rotation = n.cfg.Certs.HasAuthority(), &rotation
	}
	if c, err := n.running(); err == nil {
		info.Followers = c.leads()
	}
	return json.Marshal(info)
}

// askInfo asks another member, and makes sure that it is who it should be.
func (n *Node) askInfo(ctx context.Context, c *core, s raft.Server) (infoReply, error) {
	ctx, cancel := context.WithTimeout(ctx, peerDialTimeout)
	defer cancel()
	raw, err := n.hop.send(ctx, c.hopTo(s, opInfo, anyTerm), nil)
	if err != nil {
		return infoReply{}, err
	}
	if len(raw) > maxInfoBytes {
		return infoReply{}, fmt.Errorf("reading a member's info: %d bytes, at most %d", len(raw), maxInfoBytes)
	}
	var info infoReply
	if err := json.Unmarshal(raw, &info); err != nil {
		return infoReply{}, fmt.Errorf("reading a member's info: %w", err)
	}
	if info.NodeID != string(s.ID) {
		return infoReply{}, fmt.Errorf("%s is %s, not %s", s.Address, info.NodeID, s.ID)
	}
	return info, nil
}

// exchange keeps what this node knows of the other members up to date, until ctx
// is done: their clocks, and what their state machines are worth.
func (n *Node) exchange(ctx context.Context, c *core) {
	tick := time.NewTicker(n.cfg.exchangeInterval)
	defer tick.Stop()
	var waitUntil, removeAgain time.Duration // monotonic
	wasSkewed := false
	for {
		n.lookAtSpace()
		n.holdRing()
		full := n.askAll(ctx, c)
		if s := n.clockSkewed(); s != wasSkewed {
			wasSkewed = s
			n.cfg.Logger.Warn("this node's clock and the median of the members'", "skewed", s, "offset", n.cfg.Clocks.offsets()[""])
		}
		if now := n.cfg.Clocks.Monotonic(); now >= waitUntil && n.mustNotLead(c) {
			waitUntil = now + handOverPause
			n.giveUpLeading(ctx, c, full)
		}
		if now := n.cfg.Clocks.Monotonic(); now >= removeAgain && !n.removeDead(ctx, c) {
			removeAgain = now + removalPause
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// askAll asks all other members at once, and returns those whose disk is full.
func (n *Node) askAll(ctx context.Context, c *core) (full map[string]bool) {
	servers := c.servers()
	members := make(map[string]bool, len(servers)) // is it a voter
	var asking sync.WaitGroup
	var mu sync.Mutex
	reports, supported, rings := map[string][]byte{}, map[string]uint32{}, map[string]*heldRing{}
	full = map[string]bool{}
	rotations := map[string]rotationReport{}
	for _, s := range servers {
		members[string(s.ID)] = s.Suffrage == raft.Voter
		if s.ID == c.self {
			continue
		}
		asking.Go(func() {
			asked := n.cfg.Clocks.Monotonic()
			info, err := n.askInfo(ctx, c, s)
			if err != nil {
				n.cfg.Logger.Debug("asking a member how it is", "member", s.ID, "error", err)
				return
			}
			n.cfg.Clocks.learn(info.NodeID, time.Unix(0, info.WallNanos), asked)
			if _, leader := c.leader(); leader == s.ID {
				n.heard.learn(info.NodeID, info.Followers)
			}
			mu.Lock()
			defer mu.Unlock()
			reports[info.NodeID], supported[info.NodeID] = info.Report, info.ClusterVersion
			full[info.NodeID], rings[info.NodeID] = info.DiskFull, info.GossipKeys
			if info.Rotation != nil {
				rotations[info.NodeID] = *info.Rotation
			}
		})
	}
	asking.Wait()
	n.lookForDead(c, supported)
	n.cfg.Clocks.keep(func(id string) bool {
		_, is := members[id]
		return is
	})
	if ctx.Err() == nil {
		n.cfg.Auditor.Compare(string(c.self), members, reports)
	}
	if err := n.raiseVersion(ctx, c, supported); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("raising the cluster's version; trying again", "error", err)
	}
	n.rings.learn(rings)
	if err := n.turnRing(ctx, c, rings); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("changing the cluster's gossip keys; trying again", "error", err)
	}
	n.rotating.learn(rotations)
	if err := n.advanceRotation(ctx, c); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("taking the rotation of the CA further; trying again", "error", err)
	}
	return full
}

func (n *Node) clockSkewed() bool { return skewed(n.cfg.Clocks.offsets()[""]) }

// mustNotLead says that this node leads with a clock, a state or a disk that is no
// good.
func (n *Node) mustNotLead(c *core) bool {
	return c.raft.State() == raft.Leader && (n.clockSkewed() || n.cfg.Auditor.Diverged(string(c.self)) || n.space.isLow())
}

// giveUpLeading hands leadership to a voter with which nothing is wrong. Where there
// is none, as in a cluster of two whose clocks disagree, nobody knows who is right.
func (n *Node) giveUpLeading(ctx context.Context, c *core, full map[string]bool) {
	ctx, cancel := context.WithTimeout(ctx, silentTimeouts*n.cfg.ElectionTimeout)
	defer cancel()
	err := errors.New("there is no other voter with which nothing is wrong")
	offsets := n.cfg.Clocks.offsets()
	for _, s := range c.servers() {
		offset, known := offsets[string(s.ID)]
		if s.Suffrage != raft.Voter || s.ID == c.self || !known || skewed(offset) || full[string(s.ID)] || n.cfg.Auditor.Diverged(string(s.ID)) {
			continue
		}
		if err = c.transfer(ctx, s.ID); err == nil {
			n.cfg.Logger.Warn("handed leadership over: this node's clock or state is wrong, or its disk is full", "to", s.ID)
			return
		}
	}
	n.cfg.Logger.Warn("could not hand leadership over, though this node's clock or state is wrong, or its disk is full", "error", err)
}
