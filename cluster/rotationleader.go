package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

// RotateCA begins to put a new CA in the place of the cluster's own, from any member, or
// does nothing where that is under way. It returns the SHA-256 of the new CA's
// certificate in hexadecimal, without waiting for the rotation; CARotation shows how
// far it is.
//
// Errors: ErrNoAuthority, ErrClusterTooOld, or one of Propose's classes.
func (n *Node) RotateCA(ctx context.Context) (ca string, err error) {
	reply, _, err := n.onLeader(ctx, opRotateCA, nil)
	if errors.Is(err, ErrInvalid) { // that is all there is to misunderstand
		err = fmt.Errorf("the leader's program doesn't know how to: %w", ErrClusterTooOld)
	}
	if err != nil {
		return "", fmt.Errorf("beginning a rotation of the CA: %w", err)
	}
	return string(reply), nil
}

// serveRotateCA begins a rotation on the leader.
func (n *Node) serveRotateCA(ctx context.Context, c *core, term uint64, _ []byte) ([]byte, error) {
	if err := c.leadership.await(ctx, term); err != nil {
		return nil, err
	}
	if n.cfg.Certs == nil {
		return nil, fmt.Errorf("this cluster speaks plain text: %w", ErrNoAuthority)
	}
	done, err := n.beginChange(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	r, err := n.rotationNow(ctx, c)
	if err != nil {
		return nil, err
	}
	if r.running() {
		return []byte(r.fingerprint()), nil
	}
	if err := n.checkOwnCA(ctx, c); err != nil {
		return nil, err
	}
	fingerprint, err := n.beginRotation(ctx, c, term, [sha256.Size]byte{})
	return []byte(fingerprint), err
}

// rotationNow is the rotation with all that this leader has proposed before.
func (n *Node) rotationNow(ctx context.Context, c *core) (Rotation, error) {
	if n.cfg.Certs == nil {
		return Rotation{}, nil
	}
	if err := c.barrier(ctx); err != nil {
		return Rotation{}, err
	}
	r, err := n.cfg.Rotations.Rotation()
	if err != nil {
		return Rotation{}, fmt.Errorf("reading the rotation of the CA: %w: %w", errGate, err)
	}
	return r, nil
}

// checkOwnCA makes sure that the cluster has a CA of its own: some member its key.
func (n *Node) checkOwnCA(ctx context.Context, c *core) error {
	if n.cfg.Certs.HasAuthority() {
		return nil
	}
	for _, s := range c.servers() {
		if s.ID == c.self {
			continue
		}
		if info, err := n.askInfo(ctx, c, s); err == nil && info.Authority {
			return nil
		}
	}
	return ErrNoAuthority
}

// beginRotation makes a CA, keeps it, and proposes it. What is kept and not begun with
// is trusted by nobody. The caller holds changing.
func (n *Node) beginRotation(ctx context.Context, c *core, term uint64, replaces [sha256.Size]byte) (string, error) {
	ca, err := n.cfg.Certs.StageNew()
	if err != nil {
		return "", fmt.Errorf("making a new CA: %w: %w", ErrRotationFailed, err)
	}
	body, err := n.cfg.Rotations.Begin(ca.Raw, replaces)
	if err != nil {
		return "", err
	}
	if err := n.proposeRotation(ctx, c, term, body); err != nil {
		return "", err
	}
	fingerprint := certs.Fingerprint(ca)
	n.cfg.Logger.Info("a rotation of the CA has begun", "ca", fingerprint)
	return fingerprint, nil
}

func (n *Node) proposeRotation(ctx context.Context, c *core, term uint64, body []byte) error {
	reply, err := n.propose(ctx, c, term, body, func() {})
	if err != nil {
		return err
	}
	return n.cfg.Rotations.Decided(reply)
}

// advanceTimeout bounds one attempt to take a rotation further.
const advanceTimeout = 10 * time.Second

// advanceRotation begins the next phase if this node leads and all members are done
// with the one that is.
func (n *Node) advanceRotation(ctx context.Context, c *core) error {
	r, err := n.cfg.Rotations.Rotation()
	if err != nil || !r.running() || c.raft.State() != raft.Leader {
		return nil
	}
	reports := n.rotating.reports(c.self)
	if len(awaited(c.servers(), r, reports)) > 0 && !keyIsLost(c.servers(), r, reports) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, advanceTimeout)
	defer cancel()
	term := c.raft.CurrentTerm()
	if err := c.leadership.await(ctx, term); err != nil {
		return err
	}
	// Nobody joins meanwhile.
	p, done, err := n.beginPinnedChange(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	now, err := n.rotationNow(ctx, c)
	if err != nil || now.Phase != r.Phase || now.sum() != r.sum() {
		return err
	}
	if keyIsLost(p.Servers, r, reports) {
		_, err := n.beginRotation(ctx, c, term, r.sum())
		return err
	}
	if len(awaited(p.Servers, r, reports)) > 0 {
		return nil
	}
	body, err := n.cfg.Rotations.Advance(r.sum(), r.Phase.next())
	if err != nil {
		return err
	}
	if err := n.proposeRotation(ctx, c, term, body); err != nil {
		return err
	}
	n.cfg.Logger.Info("the rotation of the CA goes on", "ca", r.fingerprint(), "phase", r.Phase.next())
	return nil
}

// keyIsLost says that all members know of the new CA and none of them has its key: who
// made it is no member any more. Nobody shows a certificate of it yet.
func keyIsLost(servers []raft.Server, r Rotation, reports map[string]rotationReport) bool {
	if r.Phase != RotationTrust {
		return false
	}
	for _, s := range servers {
		if told, heard := reports[string(s.ID)]; !heard || told.CA != r.fingerprint() || told.Key {
			return false
		}
	}
	return true
}

// checkJoiner refuses a node that brings a certificate, once others show those of the
// new CA: who made it may not have known of that.
func (r Rotation) checkJoiner(req joinRequest) error {
	if r.issuer() == "" || len(req.CertificateRequest) > 0 {
		return nil
	}
	return fmt.Errorf("the cluster's CA is being replaced, and a certificate that was made elsewhere may be of the old one: join with a token of 'pipesync tokens create', or with a certificate of the new CA once 'pipesync status' shows the rotation done: %w", ErrNoCertificate)
}
