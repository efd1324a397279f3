package cluster

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// Status returns this node's view of itself and its cluster, from memory.
func (n *Node) Status() Status {
	n.mu.RLock()
	id, c := n.id, n.core
	n.mu.RUnlock()
	s := Status{
		NodeID: id.NodeID, ClusterID: id.ClusterID, Version: n.cfg.Version,
		Role: RoleUnjoined, AppliedIndex: n.sm.Applied(), Insecure: n.cfg.Certs == nil, Certificate: n.certificate(),
	}
	least, full := n.space.least()
	s.Disk = Disk{Dir: least.dir, FreeBytes: least.free, TotalBytes: least.total, MinFreeBytes: least.need, Full: full}
	if c == nil {
		return s
	}
	term, leader := c.leader()
	s.Term, s.LeaderID = term, string(leader)
	s.CommitIndex, s.LastLogIndex = c.raft.CommitIndex(), c.raft.LastIndex()
	voter := false
	for _, server := range c.servers() {
		if server.Suffrage == raft.Voter {
			s.Voters++
			voter = voter || server.ID == c.self
		}
		if server.ID == leader {
			s.LeaderPeer = string(server.Address)
		}
	}
	s.FailuresTolerated = max(s.Voters-1, 0) / 2
	s.Role = role(c.raft.State(), voter)
	if s.Role != RoleLeader {
		s.LastContact = n.silence(c)
	}
	s.ClockOffset = n.cfg.Clocks.offsets()[""]
	s.ClockSkewed = skewed(s.ClockOffset)
	s.Dead = c.silences.dead(n.cfg.deadAfter)
	s.CaughtUp = n.isSettled()
	s.Ready = s.CaughtUp && s.LeaderID != ""
	return s
}

// LeaderID is that of Status, empty where there is none.
func (n *Node) LeaderID() string {
	n.mu.RLock()
	c := n.core
	n.mu.RUnlock()
	if c == nil {
		return ""
	}
	_, leader := c.leader()
	return string(leader)
}

// Bound returns where this node listens for peers and for gossip. A port that was
// asked for as 0 is the one that the kernel chose.
func (n *Node) Bound() (peer, gossip string) {
	return n.ports.peer.Addr().String(), n.ports.gossipBound
}

func role(state raft.RaftState, voter bool) Role {
	switch {
	case state == raft.Leader:
		return RoleLeader
	case !voter:
		return RoleNonvoter
	case state == raft.Candidate:
		return RoleCandidate
	default:
		return RoleFollower
	}
}

func (n *Node) isSettled() bool {
	select {
	case <-n.settled:
		return true
	default:
		return false
	}
}

// Members lists the servers of the configuration that this node knows, in its
// order, with the hints of gossip. Errors: ErrNotJoined, ErrRemoved, ErrStopped.
func (n *Node) Members() ([]Member, error) {
	c, err := n.running()
	if err != nil {
		return nil, fmt.Errorf("listing the members: %w", err)
	}
	n.mu.RLock()
	g := n.gossip
	n.mu.RUnlock()
	seen := g.seen()
	_, leader := c.leader()
	offsets := n.cfg.Clocks.offsets()
	offsets[string(c.self)] = offsets[""]
	followers := c.leads()
	var members []Member
	for _, s := range c.servers() {
		meta, alive := seen[string(s.ID)]
		offset, known := offsets[string(s.ID)]
		follower := followers[string(s.ID)]
		if followers == nil {
			follower = n.heard.of(string(leader), string(s.ID))
		}
		keys := n.rings.keys(string(s.ID))
		if s.ID == c.self {
			keys = g.fingerprints()
		}
		members = append(members, Member{
			ID: string(s.ID), PeerAddr: string(s.Address), HTTPAddr: meta.HTTPAddr, Version: meta.Version,
			Voter: s.Suffrage == raft.Voter, Leader: s.ID == leader, Alive: alive || s.ID == c.self,
			ClockOffset: offset, ClockKnown: known, Diverged: n.cfg.Auditor.Diverged(string(s.ID)), Follower: follower,
			GossipKeys: keys,
		})
	}
	return members, nil
}
