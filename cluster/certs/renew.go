package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// renewAfter is the part of its life, in thirds, after which a certificate is
// replaced.
const renewAfter = 2

// Renew replaces the node's certificate by one of the same life when two thirds of
// it have passed, if the cluster's CA is here and trusted. It says whether it did.
func (s *Store) Renew() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.current.Load()
	if m.empty() {
		return false, nil
	}
	life, due := span(m.chain.Leaf)
	if s.now().Before(due) {
		return false, nil
	}
	ca, err := ReadAuthority(s.dir)
	if errors.Is(err, ErrNoAuthority) {
		return false, nil
	}
	if err == nil && (ca.ClusterID() != m.self.ClusterID || !slices.ContainsFunc(m.cas, ca.cert.Equal)) {
		err = fmt.Errorf("the CA in %s, %q, is not among those that this node trusts for %s", s.dir, ca.cert.Subject.CommonName, m.self.ClusterID)
	}
	if err == nil {
		err = s.renewBy(ca, m, life)
	}
	if err != nil {
		return false, fmt.Errorf("renewing this node's certificate: %w", err)
	}
	return true, nil
}

func (s *Store) renewBy(ca *Authority, m *material, life time.Duration) error {
	node, err := ca.Issue(m.self.NodeID, life, s.now())
	if err != nil {
		return err
	}
	if err := writePair(s.dir, nodeName, node.cert, node.key); err != nil {
		return err
	}
	return s.read()
}

// span is the life that a certificate of ours was given, and when it is due to be
// replaced.
func span(c *x509.Certificate) (life time.Duration, due time.Time) {
	issued := c.NotBefore.Add(backdated)
	life = c.NotAfter.Sub(issued)
	return life, issued.Add(life / 3 * renewAfter)
}

// Provide writes into dir all that a member has, the CA included, unless a node's
// certificate is there.
func Provide(dir string, ca *Authority, nodeID string, now time.Time) error {
	if _, err := os.Stat(filepath.Join(dir, nodeName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	node, err := ca.Issue(nodeID, NodeLife, now)
	if err != nil {
		return err
	}
	if err := WriteAuthority(dir, ca); err != nil {
		return err
	}
	return WriteNode(dir, node, []*x509.Certificate{ca.cert})
}
