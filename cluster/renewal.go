package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

// A node without the cluster's CA has its certificate renewed by a member that has
// it. Others do so themselves: see certs.Store.Watch.

// certifyTimeout bounds one member's answer.
const certifyTimeout = 5 * time.Second

type certifyRequest struct {
	CertificateRequest []byte `json:"certificate_request"`
	// CA is the fingerprint of the CA that has to sign; empty: the one that the member
	// signs with.
	CA string `json:"ca,omitempty"`
	// Joiner is set where a leader asks for a node that joins, and Voter if that is to
	// vote.
	Joiner string `json:"joiner,omitempty"`
	Voter  bool   `json:"voter,omitempty"`
}

// keepCertified asks for a new certificate when it is time, until ctx is done.
func (n *Node) keepCertified(ctx context.Context, c *core) {
	for {
		wait := certs.WatchInterval
		if due, retry := n.cfg.Certs.Due(); due {
			if err := n.renewCertificate(ctx, c); err != nil && ctx.Err() == nil {
				wait = retry
				n.cfg.Logger.Warn("asking for a new certificate; trying again", "error", err, "again_in", wait)
			}
		}
		if !n.pause(ctx, wait) {
			return
		}
	}
}

func (n *Node) renewCertificate(ctx context.Context, c *core) error {
	n.rotating.issuing.Lock()
	defer n.rotating.issuing.Unlock()
	if err := n.replaceCertificate(ctx, c, n.issuer()); err != nil {
		return err
	}
	n.noteCertificates(nil)
	return nil
}

// replaceCertificate gets this node a certificate that another member signs. The caller
// holds rotating.issuing.
func (n *Node) replaceCertificate(ctx context.Context, c *core, issuer string) error {
	req, err := certs.NewRequest(string(c.self))
	if err != nil {
		return err
	}
	grant, err := n.haveCertified(ctx, c, certifyRequest{CertificateRequest: req.DER, CA: issuer})
	if err != nil {
		return err
	}
	return n.cfg.Certs.Replace(req, grant)
}

// haveCertified asks the other members one after another.
func (n *Node) haveCertified(ctx context.Context, c *core, req certifyRequest) (certs.Grant, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return certs.Grant{}, err
	}
	refusals := fmt.Errorf("no member has the key of the cluster's CA: %w", ErrNoCertificate)
	for _, s := range c.servers() {
		if s.ID == c.self {
			continue
		}
		grant, err := n.askToCertify(ctx, c, s, body)
		if err == nil {
			return grant, nil
		}
		refusals = errors.Join(refusals, err)
	}
	return certs.Grant{}, refusals
}

func (n *Node) askToCertify(ctx context.Context, c *core, s raft.Server, body []byte) (certs.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, certifyTimeout)
	defer cancel()
	raw, err := n.hop.send(ctx, c.hopTo(s, opCertify, anyTerm), body)
	if err != nil {
		return certs.Grant{}, err
	}
	var grant certs.Grant
	if err := json.Unmarshal(raw, &grant); err != nil {
		return certs.Grant{}, fmt.Errorf("reading a new certificate of %s: %w", s.ID, err)
	}
	return grant, nil
}

// serveCertify signs for the node that asks, under the name that its certificate has, or
// for another one if a voter asks, which may lead.
func (n *Node) serveCertify(c *core, conn *peerConn, body []byte) ([]byte, error) {
	if (conn.peer == certs.Identity{}) {
		return nil, ErrNoCertificate
	}
	var req certifyRequest
	if err := decodeStrict(body, &req); err != nil {
		return nil, err
	}
	nodeID := conn.peer.NodeID
	if req.Joiner != "" {
		if asker, _ := c.server(raft.ServerID(nodeID)); asker.Suffrage != raft.Voter {
			return nil, fmt.Errorf("%s asks for a certificate of %s and is no voter: %w", nodeID, req.Joiner, ErrUnauthorized)
		}
		nodeID = req.Joiner
	}
	grant, err := n.cfg.Certs.Sign(certs.Signing{
		Request: req.CertificateRequest, NodeID: nodeID, By: cmp.Or(req.CA, n.issuer()), WithAuthority: req.Joiner != "" && req.Voter,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCertificate, err)
	}
	return json.Marshal(grant)
}
