package cluster

import (
	"cmp"
	"fmt"

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

func (n *Node) noteCertificates(err error) {
	if err != nil {
		n.cfg.Logger.Error("keeping the certificates up to date", "error", err)
		return
	}
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

// checkClaim makes sure that whoever wants to join is the node that its
// certificate is for.
func (c *peerConn) checkClaim(body []byte) error {
	if (c.peer == certs.Identity{}) {
		return nil
	}
	var req joinRequest
	if err := decodeStrict(body, &req); err != nil {
		return err
	}
	if req.NodeID != c.peer.NodeID {
		return fmt.Errorf("node %s wants to join with the certificate of %s: %w", req.NodeID, c.peer.NodeID, ErrUnauthorized)
	}
	return nil
}
