package cluster

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// A follower misses its leader when it has heard nothing of it for the heartbeat timeout.
// Raft looks whether that is so at random moments, one to two timeouts apart, and a
// pre-vote is won only when a majority has looked. Where the leader's host refuses
// connections to the leader's peer port, its process is gone, and there is nothing to wait
// for: watchLeader has Raft look as soon as the timeout has passed.
//
// Raft decides by its own rules what follows from it, so that a refusal that isn't true, as a
// firewall's, does no harm to a leader whom a majority hears. See docs/adr/0027.

// turnsPerTimeout are how many followers look in one timeout, one after the other: of two
// that stand for election at the same moment neither wins. The heartbeats of a leader are
// a tenth to a fifth of the timeout apart, so that those to one follower don't tell much of
// those to the next.
const turnsPerTimeout = 5

// watchLeader has Raft miss a leader that is gone, until ctx is done.
func (c *core) watchLeader(ctx context.Context) {
	for {
		timeout := c.raft.ReloadableConfig().HeartbeatTimeout
		step := timeout / turnsPerTimeout
		wait := step
		if leader, turn, follows := c.follows(); follows {
			silence := time.Since(c.raft.LastContact())
			wait = timeout + time.Duration(turn)*step - silence
			if wait <= 0 && c.isRefused(ctx, leader, timeout) {
				c.logger.Info("the leader's process is gone: an election is due", "leader", leader.ID, "silence", silence)
				if err := c.lookNow(); err != nil {
					c.logger.Error("having Raft look for its leader", "error", err)
				}
			}
			wait = max(wait, step)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// follows says whether this node is a voter that follows a leader, which that is, and how
// many of the other voters have their turn before it.
func (c *core) follows() (leader raft.Server, turn int, follows bool) {
	_, id := c.raft.LeaderWithID()
	if id == "" || id == c.self || c.raft.State() != raft.Follower {
		return leader, 0, false
	}
	for _, s := range c.servers() {
		switch {
		case s.ID == id:
			leader = s
		case s.Suffrage != raft.Voter:
		case s.ID == c.self:
			follows = true
		case !follows:
			turn++
		}
	}
	return leader, turn, follows && leader.ID != ""
}

// isRefused says that the host of the leader is there and nothing listens at its peer port.
func (c *core) isRefused(ctx context.Context, leader raft.Server, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := c.stream.dialer.tcp(ctx, string(leader.Address))
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// lookNow has Raft look whether its leader is missing, as it does when it is given a
// shorter timeout: one that is longer by nothing to speak of makes room for that.
func (c *core) lookNow() error {
	before := c.raft.ReloadableConfig()
	longer := func(rc *raft.ReloadableConfig) {
		rc.HeartbeatTimeout, rc.ElectionTimeout = before.HeartbeatTimeout+1, before.ElectionTimeout+1
	}
	asBefore := func(rc *raft.ReloadableConfig) {
		rc.HeartbeatTimeout, rc.ElectionTimeout = before.HeartbeatTimeout, before.ElectionTimeout
	}
	return errors.Join(c.reload(longer), c.reload(asBefore))
}
