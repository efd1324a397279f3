package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"pipesync/api/syncjson"
	"pipesync/cluster"
)

type memberReply struct {
	ID      string `json:"id"`
	Peer    string `json:"peer"`
	HTTP    string `json:"http"`
	Voter   bool   `json:"voter"`
	Leader  bool   `json:"leader"`
	Alive   bool   `json:"alive"`
	Version string `json:"version"`
	// ClockOffsetMS is null where it isn't known.
	ClockOffsetMS *int64 `json:"clock_offset_ms"`
	Diverged      bool   `json:"diverged"`
	// How it follows the leader; null where the node asked doesn't know.
	LagEntries    *uint64 `json:"lag_entries"`
	LastContactMS *int64  `json:"last_contact_ms"`
}

func newMemberReplies(members []cluster.Member) []memberReply {
	replies := make([]memberReply, 0, len(members))
	for _, m := range members {
		reply := memberReply{
			ID: m.ID, Peer: m.PeerAddr, HTTP: m.HTTPAddr,
			Voter: m.Voter, Leader: m.Leader, Alive: m.Alive, Version: m.Version, Diverged: m.Diverged,
			LagEntries: m.Lag,
		}
		if m.Silence != nil {
			ms := m.Silence.Milliseconds()
			reply.LastContactMS = &ms
		}
		if m.ClockKnown {
			ms := m.ClockOffset.Milliseconds()
			reply.ClockOffsetMS = &ms
		}
		replies = append(replies, reply)
	}
	return replies
}

func (s *server) handleMembers(c *call) error {
	members, err := s.Cluster.Members()
	if err != nil {
		return fmt.Errorf("listing the members: %w", err)
	}
	c.reply(http.StatusOK, struct {
		Members []memberReply `json:"members"`
	}{newMemberReplies(members)})
	return nil
}

// joining bounds a join, and keeps the server's write deadline from ending its
// reply.
func (s *server) joining(c *call) (context.Context, context.CancelFunc) {
	const toReply = 10 * time.Second
	control := http.NewResponseController(c.w)
	_ = control.SetWriteDeadline(time.Now().Add(s.Limits.JoinTimeout + toReply)) // best effort
	return c.within(s.Limits.JoinTimeout)
}

func (s *server) handleJoin(c *call) error {
	var request struct {
		Peer     string `json:"peer"`
		Token    string `json:"token"`
		Nonvoter bool   `json:"nonvoter"`
	}
	if err := s.readAdminBody(c, &request); err != nil {
		return err
	}
	var rules fieldRules
	if request.Peer == "" {
		rules.add("peer", syncjson.Required, "is required")
	} else if _, _, err := net.SplitHostPort(request.Peer); err != nil {
		rules.add("peer", syncjson.InvalidValue, "must be HOST:PORT, such as 10.0.0.7:8801 or [::1]:8801")
	}
	if request.Token == "" {
		rules.add("token", syncjson.Required, "is required")
	}
	if err := rules.err(); err != nil {
		return err
	}
	c.concerns("peer", request.Peer)
	ctx, cancel := s.joining(c)
	defer cancel()
	if err := s.Cluster.Join(ctx, request.Peer, request.Token, request.Nonvoter); err != nil {
		return membershipFailure(err, codeNotJoined, "joining failed")
	}
	status := s.Cluster.Status()
	c.reply(http.StatusOK, struct {
		NodeID    string `json:"node_id"`
		ClusterID string `json:"cluster_id"`
		Voter     bool   `json:"voter"`
	}{status.NodeID, status.ClusterID, !request.Nonvoter})
	return nil
}

func (s *server) handleRemove(c *call) error {
	force, err := boolParam(c.r.URL.Query(), "force")
	if err != nil {
		return err
	}
	c.concerns("force", strconv.FormatBool(force))
	ctx, cancel := c.within(s.Limits.ChangeTimeout)
	defer cancel()
	node := c.param("node")
	if err := s.Cluster.Remove(ctx, node, force); err != nil {
		return membershipFailure(err, codeInternal, "the removal failed")
	}
	c.reply(http.StatusOK, struct {
		NodeID  string `json:"node_id"`
		Removed bool   `json:"removed"`
	}{node, true})
	return nil
}

func (s *server) handleTransfer(c *call) error {
	var request struct {
		Node string `json:"node"`
	}
	if err := s.readAdminBody(c, &request); err != nil {
		return err
	}
	c.concerns("node_id", request.Node)
	before := s.Cluster.LeaderID()
	ctx, cancel := c.within(s.Limits.ChangeTimeout)
	defer cancel()
	if err := s.Cluster.TransferLeadership(ctx, request.Node); err != nil {
		return membershipFailure(err, codeLeaderTransferFailed, "the transfer failed")
	}
	leader, err := s.awaitLeader(ctx, before, request.Node)
	if err != nil {
		return err
	}
	c.reply(http.StatusOK, struct {
		LeaderID string `json:"leader_id"`
	}{leader})
	return nil
}

// awaitLeader returns the new leader once this node has heard of it, which for
// a node that only forwarded the request comes a little later.
func (s *server) awaitLeader(ctx context.Context, before, wanted string) (string, error) {
	const toHear, every = 5 * time.Second, 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, toHear)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		leader := s.Cluster.LeaderID()
		if leader != "" && (leader == wanted || wanted == "" && leader != before) {
			return leader, nil
		}
		select {
		case <-ctx.Done():
			return "", fail(codeLeaderTransferFailed, "this node has not heard of the new leader")
		case <-tick.C:
		}
	}
}

// membershipFailure tells an administrator the error's own text, which says
// what was tried and names the cure. An error that no table knows gets code.
func membershipFailure(err error, code Code, what string) error {
	f := asFailure(err)
	if f.code == codeInternal {
		f = fail(code, "").because(err)
	}
	var told *failure
	if !errors.As(err, &told) {
		f.message = fmt.Sprintf("%s: %v", what, err)
	}
	return f
}
