package cluster

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

// keepRotated does this node's part of a rotation of the CA, until ctx is done. What it
// did before a restart, it did by a state that this one may be behind of: it waits
// until it has caught up.
func (n *Node) keepRotated(ctx context.Context, c *core) {
	select {
	case <-n.settled:
	case <-ctx.Done():
		return
	}
	for n.pause(ctx, n.cfg.exchangeInterval) {
		r, err := n.cfg.Rotations.Rotation()
		if err != nil || !r.running() {
			continue
		}
		report := n.followRotation(ctx, c, r)
		if ctx.Err() != nil {
			return
		}
		if had := n.rotating.set(report); report.Problem != "" && report.Problem != had.Problem {
			n.cfg.Logger.Warn("this node can't go on with the rotation of the CA; trying again", "phase", r.Phase, "error", report.Problem)
		}
	}
}

// set returns the report before.
func (r *rotating) set(report rotationReport) rotationReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	had := r.own
	r.own = report
	return had
}

// followRotation does what is to be done in the phase of r, and says how far this node
// is.
func (n *Node) followRotation(ctx context.Context, c *core, r Rotation) rotationReport {
	report := rotationReport{CA: r.fingerprint()}
	ca, err := certs.ParseCA(r.CA, c.stream.clusterID)
	if err == nil {
		err = n.takeSteps(ctx, c, r.Phase, ca)
		report.Done, report.Key = n.stepsDone(c, ca)
	}
	if err != nil {
		report.Problem = strings.ToValidUTF8(err.Error()[:min(len(err.Error()), maxProblemBytes)], "")
	}
	return report
}

// takeSteps puts in force what it has done, also where it can't do all.
func (n *Node) takeSteps(ctx context.Context, c *core, phase RotationPhase, ca *x509.Certificate) error {
	before, err := n.cfg.Certs.Steps(ca)
	if err != nil {
		return err
	}
	err = n.takeMissing(ctx, c, phase, ca, before)
	after, serr := n.cfg.Certs.Steps(ca)
	if serr == nil && after != before {
		n.noteCertificates(nil)
	}
	return errors.Join(err, serr)
}

func (n *Node) takeMissing(ctx context.Context, c *core, phase RotationPhase, ca *x509.Certificate, taken certs.Steps) error {
	if !taken.Trusts {
		if err := n.cfg.Certs.Trust(ca); err != nil {
			return err
		}
	}
	if n.isVoter(c) && !taken.Key {
		if err := n.fetchAuthority(ctx, c, ca); err != nil {
			return err
		}
	}
	if phase.reached(RotationIssue) {
		if err := n.takeCertificateOf(ctx, c, ca, taken.Shows); err != nil {
			return err
		}
	}
	if phase.reached(RotationRetire) && !taken.Only {
		return n.cfg.Certs.TrustOnly(ca)
	}
	return nil
}

// takeCertificateOf has this node sign with ca if it has its key, and gets it a
// certificate.
func (n *Node) takeCertificateOf(ctx context.Context, c *core, ca *x509.Certificate, has bool) error {
	if err := n.cfg.Certs.Adopt(ca); err != nil {
		return err
	}
	if has {
		return nil
	}
	n.rotating.issuing.Lock()
	defer n.rotating.issuing.Unlock()
	err := n.cfg.Certs.Reissue()
	if errors.Is(err, certs.ErrNoAuthority) {
		err = n.replaceCertificate(ctx, c, certs.Fingerprint(ca))
	}
	return err
}

// stepsDone is the last phase with which this node is done, and whether it has the key.
// It has ceased to show an old certificate when no request goes through a connection
// that was made with one: the other side will end those.
func (n *Node) stepsDone(c *core, ca *x509.Certificate) (done RotationPhase, key bool) {
	steps, err := n.cfg.Certs.Steps(ca)
	if err != nil {
		return "", false
	}
	voter := n.isVoter(c)
	switch {
	case !steps.Trusts || voter && !steps.Key:
		return "", steps.Key
	case !steps.Shows || steps.Others || voter && !steps.Signs || n.hop.draining():
		return RotationTrust, steps.Key
	case !steps.Only:
		return RotationIssue, steps.Key
	}
	return RotationRetire, steps.Key
}

func (n *Node) isVoter(c *core) bool {
	self, _ := c.server(c.self)
	return self.Suffrage == raft.Voter
}

// issuer is the fingerprint of the CA that certificates have to be of while the CA is
// being replaced; empty: whichever CA signs.
func (n *Node) issuer() string {
	if r, err := n.cfg.Rotations.Rotation(); err == nil {
		return r.issuer()
	}
	return ""
}

func (r Rotation) issuer() string {
	if r.running() && r.Phase.reached(RotationIssue) {
		return r.fingerprint()
	}
	return ""
}

type authorityRequest struct {
	CA string `json:"ca"` // fingerprint
}

type authorityReply struct {
	Authority string `json:"authority"` // certificate and key, in PEM
}

// fetchAuthority gets the new CA with its key from another voter.
func (n *Node) fetchAuthority(ctx context.Context, c *core, ca *x509.Certificate) error {
	body, err := json.Marshal(authorityRequest{CA: certs.Fingerprint(ca)})
	if err != nil {
		return err
	}
	refusals := errors.New("no voter gives this node the key of the new CA")
	for _, s := range c.servers() {
		if s.ID == c.self || s.Suffrage != raft.Voter {
			continue
		}
		err := n.fetchAuthorityOf(ctx, c, s, body, ca)
		if err == nil {
			return nil
		}
		refusals = errors.Join(refusals, err)
	}
	return refusals
}

func (n *Node) fetchAuthorityOf(ctx context.Context, c *core, s raft.Server, body []byte, ca *x509.Certificate) error {
	ctx, cancel := context.WithTimeout(ctx, certifyTimeout)
	defer cancel()
	raw, err := n.hop.send(ctx, c.hopTo(s, opAuthority, anyTerm), body)
	if err != nil {
		return err
	}
	var reply authorityReply
	if err := json.Unmarshal(raw, &reply); err != nil {
		return fmt.Errorf("reading the new CA of %s: %w", s.ID, err)
	}
	return n.cfg.Certs.StageFrom(reply.Authority, ca)
}

// serveAuthority gives the new CA with its key to another voter, over TLS alone.
func (n *Node) serveAuthority(c *core, conn *peerConn, body []byte) ([]byte, error) {
	if (conn.peer == certs.Identity{}) {
		return nil, ErrNoCertificate
	}
	var req authorityRequest
	if err := decodeStrict(body, &req); err != nil {
		return nil, err
	}
	if asker, _ := c.server(raft.ServerID(conn.peer.NodeID)); asker.Suffrage != raft.Voter {
		return nil, fmt.Errorf("%s asks for the key of the CA and is no voter: %w", conn.peer.NodeID, ErrUnauthorized)
	}
	r, err := n.cfg.Rotations.Rotation()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGate, err)
	}
	if !r.running() || r.fingerprint() != req.CA {
		return nil, fmt.Errorf("the CA with the SHA-256 %q is not the one that is to come: %w", req.CA, ErrUnauthorized)
	}
	text, err := n.cfg.Certs.Authority(req.CA)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAuthority, err)
	}
	return json.Marshal(authorityReply{Authority: text})
}

// JoinCAs are the fingerprints of the CAs by one of which a node that joins knows the
// cluster: of the one that has signed this node's certificate, if that is trusted, and
// of the one that is to take its place.
func (n *Node) JoinCAs() (list []string) {
	if n.cfg.Certs == nil {
		return nil
	}
	own := n.cfg.Certs.Status().CA
	if own != "" {
		list = append(list, own)
	}
	if r, err := n.cfg.Rotations.Rotation(); err == nil && r.running() && r.fingerprint() != own {
		list = append(list, r.fingerprint())
	}
	return list
}
