package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

// A join has three steps, each of which may be repeated:
//
//  1. The joiner asks any member. The leader checks the token and adds the
//     joiner as a non-voter, which no quorum counts.
//  2. The joiner writes the cluster's id down and starts Raft, which brings it
//     up to date.
//  3. When it has applied an index that the leader gave it after step 2, the
//     joiner asks to become a voter. A restart in between resumes here.
//
// A voter that can't be reached would cost a small cluster its quorum at once:
// a joiner that has caught up is known to be reachable from the leader and to
// reach it.
type joinRequest struct {
	NodeID   string `json:"node_id"`
	PeerAddr string `json:"peer_addr"`
	Token    string `json:"token"`
	Nonvoter bool   `json:"nonvoter"`
	// ClusterVersion is the newest that the joiner supports.
	ClusterVersion uint32 `json:"cluster_version"`
	// CertificateRequest is of a joiner that has no certificate; else empty.
	CertificateRequest []byte `json:"certificate_request,omitempty"`
}

type joinReply struct {
	ClusterID string       `json:"cluster_id"`
	Grant     *certs.Grant `json:"grant,omitempty"` // nil: none was asked for
}

type memberRequest struct {
	NodeID   string `json:"node_id"`
	PeerAddr string `json:"peer_addr,omitempty"`
	Force    bool   `json:"force,omitempty"` // of a removal
}

// maxJoinTimeout bounds a join whose caller has no deadline: catching up with a
// large cluster takes a while.
const maxJoinTimeout = 10 * time.Minute

// Join makes this node a member of the cluster that has a member at peerAddr,
// and returns when it is a voter that has caught up, or with nonvoter a
// non-voter that has. If ctx ends while it still catches up, the join goes on by
// itself, and after a restart too.
//
// A token may end in a dot and the SHA-256 of the certificate of the cluster's CA, in
// hexadecimal. A node without a certificate gets one then, of a cluster with that CA
// alone, and, if it is to vote, the CA as well.
//
// Errors: ErrAlreadyJoined, ErrRemoved, ErrNoCertificate, ErrUnauthorized for the token,
// ErrIDTaken if another member has this node's id or address, ErrVersionTooOld, or
// one of Propose's classes.
func (n *Node) Join(ctx context.Context, peerAddr, token string, nonvoter bool) error {
	ctx, cancel := context.WithTimeout(ctx, maxJoinTimeout)
	defer cancel()
	if err := n.join(ctx, peerAddr, token, nonvoter); err != nil {
		return fmt.Errorf("joining through %s: %w", peerAddr, err)
	}
	return nil
}

func (n *Node) join(ctx context.Context, peerAddr, token string, nonvoter bool) error {
	if err := n.becomeMember(ctx, peerAddr, token, nonvoter); err != nil {
		return err
	}
	select {
	case <-n.settled:
		return nil
	case <-n.removed:
		return ErrRemoved
	case <-n.stopping:
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("catching up, which goes on: %w", context.Cause(ctx))
	}
}

// becomeMember does steps 1 and 2.
func (n *Node) becomeMember(ctx context.Context, peerAddr, token string, nonvoter bool) error {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	// A stop needs the lock too, and does not wait for another machine.
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(n.life, cancel)()
	defer cancel()
	id, err := n.unjoined()
	if err != nil {
		return err
	}
	entry, err := n.entryInto(id, token)
	if err != nil {
		return err
	}
	defer entry.close()
	req := joinRequest{NodeID: id.NodeID, PeerAddr: n.ports.peerAdvertise, Token: entry.secret, Nonvoter: nonvoter, ClusterVersion: n.cfg.Versions.Supported()}
	if entry.request != nil {
		req.CertificateRequest = entry.request.DER
	}
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	var joined joinReply
	if err := n.askToJoin(ctx, entry.hop, peerAddr, body, &joined); err != nil {
		return err
	}
	if err := checkID("cluster id", joined.ClusterID); err != nil {
		return err
	}
	if err := entry.take(n, joined); err != nil {
		return err
	}
	id.ClusterID, id.Nonvoter, id.Pending, id.ReseededFrom = joined.ClusterID, nonvoter, pendingJoin, ""
	return n.enter(id)
}

// askToJoin repeats the first step, which is idempotent, while its failure may
// pass.
func (n *Node) askToJoin(ctx context.Context, hop *hopClient, peerAddr string, body []byte, reply *joinReply) error {
	again := n.retries()
	for {
		raw, err := hop.send(ctx, hopRequest{addr: peerAddr, op: opJoin}, body)
		if err == nil {
			return json.Unmarshal(raw, reply)
		}
		if errors.Is(err, errUnreachable) || !(isRetriable(err) || errors.Is(err, ErrOutcomeUnknown)) {
			return err
		}
		if !again.pause(ctx) {
			return err
		}
	}
}

// serveJoin is step 1 on the leader.
func (n *Node) serveJoin(ctx context.Context, c *core, term uint64, body []byte) ([]byte, error) {
	if err := c.leadership.await(ctx, term); err != nil {
		return nil, err
	}
	var req joinRequest
	if err := decodeStrict(body, &req); err != nil {
		return nil, err
	}
	if err := errors.Join(checkID("node id", req.NodeID), checkAddr(req.PeerAddr)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	entry, err := n.gate.AuthorizeJoin(req.Token, req.NodeID, sha256.Sum256(req.CertificateRequest))
	if err != nil {
		return nil, classifyJoin(err)
	}
	before, err := n.rotationNow(ctx, c)
	if err != nil {
		return nil, err
	}
	grant, err := n.grant(ctx, c, req, before)
	if err != nil {
		return nil, err
	}
	done, err := n.beginChange(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := n.checkJoiner(req.ClusterVersion); err != nil {
		return nil, err
	}
	p, err := c.pinConfiguration(ctx)
	if err != nil {
		return nil, err
	}
	id, addr := raft.ServerID(req.NodeID), raft.ServerAddress(req.PeerAddr)
	if err := p.addressTaken(id, addr); err != nil {
		return nil, err
	}
	s, again := p.server(id)
	// The same node again, whose first reply was lost; anything else would be a
	// member's id on an empty disk.
	if again && (s.Suffrage == raft.Voter || s.Address != addr) {
		return nil, fmt.Errorf("%s is a member at %s; remove it first: %w", id, s.Address, ErrIDTaken)
	}
	r, err := n.rotationNow(ctx, c)
	if err != nil {
		return nil, err
	}
	if r.Phase != before.Phase || r.sum() != before.sum() {
		return nil, fmt.Errorf("the cluster's CA was replaced meanwhile: %w", errLeaderBusy)
	}
	if err := r.checkJoiner(req); err != nil {
		return nil, err
	}
	if err := n.useToken(ctx, c, term, entry); err != nil {
		return nil, err
	}
	if !again {
		c.snapshotForJoiner(ctx)
		if err := c.put(ctx, p, id, addr, raft.Nonvoter); err != nil {
			return nil, err
		}
	}
	return json.Marshal(joinReply{ClusterID: c.stream.clusterID, Grant: grant})
}

// useToken commits the entry that uses a token up, if there is one. A token that lets
// a node in is used by then, whatever becomes of the change of membership.
func (n *Node) useToken(ctx context.Context, c *core, term uint64, entry []byte) error {
	if entry == nil {
		return nil
	}
	reply, err := n.propose(ctx, c, term, entry, func() {})
	if err != nil {
		return err
	}
	if err := n.gate.JoinAuthorized(reply); err != nil {
		return classifyJoin(err)
	}
	return nil
}

// settle brings this node up to date after each start, until ctx is done, and
// finishes a join with step 3.
func (n *Node) settle(ctx context.Context) {
	again := n.retries()
	for {
		err := n.catchUp(ctx)
		if err == nil {
			close(n.settled)
			return
		}
		n.cfg.Logger.Debug("catching up", "error", err)
		if !again.pause(ctx) {
			return
		}
	}
}

func (n *Node) catchUp(ctx context.Context) error {
	index, err := n.ReadIndex(ctx)
	if err != nil {
		return err
	}
	if err := n.sm.WaitApplied(ctx, index); err != nil {
		return fmt.Errorf("catching up to index %d: %w", index, err)
	}
	id := n.identity()
	if id.Pending != pendingJoin {
		return nil
	}
	if !id.Nonvoter {
		body, err := json.Marshal(memberRequest{NodeID: id.NodeID})
		if err != nil {
			return err
		}
		if _, _, err := n.onLeader(ctx, opPromote, body); err != nil {
			return err
		}
	}
	return n.changeIdentity(func(id *identity) { id.Pending = pendingNone })
}

// servePromote is step 3 on the leader.
func (n *Node) servePromote(ctx context.Context, c *core, term uint64, body []byte) ([]byte, error) {
	return n.changeMember(ctx, c, term, body, func(p pinned, s raft.Server, _ memberRequest) error {
		if s.Suffrage == raft.Voter {
			return nil
		}
		return c.put(ctx, p, s.ID, s.Address, raft.Voter)
	})
}

// serveReaddress gives a member, which says so itself, its new address.
func (n *Node) serveReaddress(ctx context.Context, c *core, term uint64, body []byte) ([]byte, error) {
	return n.changeMember(ctx, c, term, body, func(p pinned, s raft.Server, req memberRequest) error {
		if err := checkAddr(req.PeerAddr); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		addr := raft.ServerAddress(req.PeerAddr)
		if s.Address == addr {
			return nil
		}
		if err := p.addressTaken(s.ID, addr); err != nil {
			return err
		}
		return c.put(ctx, p, s.ID, addr, s.Suffrage)
	})
}

// changeMember runs change on the leader of term, for the member that body names.
func (n *Node) changeMember(ctx context.Context, c *core, term uint64, body []byte, change func(pinned, raft.Server, memberRequest) error) ([]byte, error) {
	if err := c.leadership.await(ctx, term); err != nil {
		return nil, err
	}
	var req memberRequest
	if err := decodeStrict(body, &req); err != nil {
		return nil, err
	}
	p, done, err := n.beginPinnedChange(ctx, c)
	if err != nil {
		return nil, err
	}
	defer done()
	s, ok := p.server(raft.ServerID(req.NodeID))
	if !ok {
		return nil, fmt.Errorf("%q: %w", req.NodeID, ErrUnknownMember)
	}
	if err := change(p, s, req); err != nil {
		return nil, err
	}
	return []byte{}, nil
}
