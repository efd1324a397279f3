package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

func (c *Config) dialer() dialer { return dialer{tcp: c.Simulation.Dial, certs: c.Certs} }

// loadIdentity reads who this node is, or mints it. Where the configuration
// doesn't say, its certificate does.
func (c *Config) loadIdentity() (identity, error) {
	if c.Certs == nil {
		return loadIdentity(c.DataDir, c.NodeID)
	}
	shown := c.Certs.Self()
	id, err := loadIdentity(c.DataDir, cmp.Or(c.NodeID, shown.NodeID))
	switch {
	case err != nil:
		return identity{}, err
	case shown == certs.Identity{} && id.ClusterID != "" && id.Pending != pendingBootstrap:
		return identity{}, fmt.Errorf("node %s is a member of %s, but %s holds no certificate for it: %w", id.NodeID, id.ClusterID, c.Certs.Dir(), ErrNoCertificate)
	case shown.NodeID != "" && shown.NodeID != id.NodeID:
		return identity{}, fmt.Errorf("the certificate in %s: expected node %s, found %s: %w", c.Certs.Dir(), id.NodeID, shown.NodeID, certs.ErrWrongNode)
	case shown.ClusterID != "" && id.ClusterID != "" && shown.ClusterID != id.ClusterID:
		return identity{}, fmt.Errorf("the certificate in %s: expected cluster %s, found %s: %w", c.Certs.Dir(), id.ClusterID, shown.ClusterID, certs.ErrWrongCluster)
	}
	return id, nil
}

// entryInto is how a node gets into a cluster: by its certificate, or by one that it
// asks for.
type entryInto struct {
	secret  string // of the token
	pins    []string
	hop     *hopClient
	request *certs.Request // nil: it has a certificate, or needs none
	close   func()
}

func (n *Node) entryInto(id identity, token string) (entryInto, error) {
	secret, pins := splitToken(token)
	e := entryInto{secret: secret, pins: pins, hop: n.hop, close: func() {}}
	err := n.checkCertificate(id)
	if !errors.Is(err, ErrNoCertificate) || len(pins) == 0 {
		return e, err
	}
	// The same in each attempt: a token may have been used up by one whose reply was
	// lost.
	if n.request == nil {
		if n.request, err = certs.NewRequest(id.NodeID); err != nil {
			return e, err
		}
	}
	e.request = n.request
	d := n.cfg.dialer()
	d.pins = pins
	e.hop = newHopClient(d)
	e.close = e.hop.close
	return e, nil
}

// take takes the certificate that was asked for.
func (e entryInto) take(n *Node, joined joinReply) error {
	if e.request == nil {
		return nil
	}
	if joined.Grant == nil {
		return fmt.Errorf("the cluster has sent no certificate: %w", ErrNoCertificate)
	}
	return n.cfg.Certs.Accept(e.request, *joined.Grant, joined.ClusterID, e.pins)
}

// splitToken takes fingerprints of CAs off the end of a token: of one, or while the CA
// is being replaced of two.
func splitToken(token string) (secret string, pins []string) {
	for len(pins) < 2 {
		i := strings.LastIndexByte(token, '.')
		if i < 0 {
			break
		}
		if raw, err := hex.DecodeString(token[i+1:]); err != nil || len(raw) != sha256.Size {
			break
		}
		token, pins = token[:i], append(pins, strings.ToLower(token[i+1:]))
	}
	return token, pins
}

// grant signs what a joiner asks for, or has it signed where the CA isn't here; nil:
// it asks for nothing. Its node trusts a CA that is to come, too.
func (n *Node) grant(ctx context.Context, c *core, req joinRequest, r Rotation) (*certs.Grant, error) {
	if len(req.CertificateRequest) == 0 {
		return nil, nil
	}
	if n.cfg.Certs == nil {
		return nil, fmt.Errorf("this cluster speaks plain text, and signs no certificates: %w", ErrNoCertificate)
	}
	g, err := n.cfg.Certs.Sign(certs.Signing{Request: req.CertificateRequest, NodeID: req.NodeID, By: r.issuer(), WithAuthority: !req.Nonvoter})
	if errors.Is(err, certs.ErrNoAuthority) {
		g, err = n.haveCertified(ctx, c, certifyRequest{CertificateRequest: req.CertificateRequest, CA: r.issuer(), Joiner: req.NodeID, Voter: !req.Nonvoter})
	}
	if err == nil && r.running() {
		var ca *x509.Certificate
		if ca, err = certs.ParseCA(r.CA, c.stream.clusterID); err == nil {
			g.TrustToo(ca)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCertificate, err)
	}
	return &g, nil
}

// checkCertificate makes sure that this node can show who it is to a cluster that
// it wants to join.
func (n *Node) checkCertificate(id identity) error {
	if n.cfg.Certs == nil {
		return nil
	}
	if _, err := n.cfg.Certs.Reload(); err != nil { // what was put there since
		return err
	}
	shown := n.cfg.Certs.Self()
	if (shown == certs.Identity{}) {
		return fmt.Errorf("%s holds none for node %s: %w", n.cfg.Certs.Dir(), id.NodeID, ErrNoCertificate)
	}
	if shown.NodeID != id.NodeID {
		return fmt.Errorf("the certificate in %s: expected node %s, found %s: %w", n.cfg.Certs.Dir(), id.NodeID, shown.NodeID, certs.ErrWrongNode)
	}
	return nil
}

// ReloadCertificates takes at once what has changed of this node's certificates on the
// disk. Without it that is noticed within certs.WatchInterval.
func (n *Node) ReloadCertificates() {
	if n.cfg.Certs == nil {
		return
	}
	if changed, err := n.cfg.Certs.Reload(); changed {
		n.noteCertificates(err)
	}
}

func (n *Node) noteCertificates(err error) {
	if err != nil {
		n.cfg.Logger.Error("keeping the certificates up to date", "error", err)
		return
	}
	n.mux.closeUntrusted(n.cfg.Certs, n.identity().ClusterID)
	n.hop.renew()
	st := n.cfg.Certs.Status()
	n.cfg.Logger.Info("new certificates are in force", "not_after", st.NotAfter, "trusted_cas", len(st.CAs))
}

// certificate is nil where the node has none.
func (n *Node) certificate() *certs.Status {
	if n.cfg.Certs == nil {
		return nil
	}
	st := n.cfg.Certs.Status()
	if st.NotAfter.IsZero() && st.Problem == nil {
		return nil
	}
	return &st
}

// mayAsk says whether whoever has dialled may have the operation done. A certificate
// outlives the membership of its node, which can only learn of its end then.
func (c *peerConn) mayAsk(core *core, name opName, body []byte) error {
	switch {
	case c == nil:
		return nil
	case c.clusterID == "":
		return c.checkClaim(body)
	case c.peer == certs.Identity{}, name == opMembership:
		return nil
	}
	if _, member := core.server(raft.ServerID(c.peer.NodeID)); !member {
		return fmt.Errorf("%s: %w", c.peer.NodeID, errNotMember)
	}
	return nil
}

// checkClaim makes sure that whoever wants to join is the node that its
// certificate is for, or asks for one.
func (c *peerConn) checkClaim(body []byte) error {
	if _, secured := c.Conn.(tlsConn); !secured {
		return nil
	}
	var req joinRequest
	if err := decodeStrict(body, &req); err != nil {
		return err
	}
	if (c.peer == certs.Identity{}) {
		if len(req.CertificateRequest) == 0 {
			return fmt.Errorf("node %s shows no certificate and asks for none: %w", req.NodeID, ErrUnauthorized)
		}
		return nil
	}
	if req.NodeID != c.peer.NodeID {
		return fmt.Errorf("node %s wants to join with the certificate of %s: %w", req.NodeID, c.peer.NodeID, ErrUnauthorized)
	}
	return nil
}
