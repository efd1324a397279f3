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

// maxRetry is how far apart attempts to get a new certificate are at most.
const maxRetry = 10 * time.Minute

// Due says that it is time for a new certificate, which another node has to sign:
// this one doesn't have the CA. Where that fails, retry is when to try again.
func (s *Store) Due() (is bool, retry time.Duration) {
	m := s.current.Load()
	if m.empty() {
		return false, 0
	}
	life, due := span(m.chain.Leaf)
	if s.now().Before(due) {
		return false, 0
	}
	_, err := ReadAuthority(s.dir)
	return errors.Is(err, ErrNoAuthority), min(max(life/600, WatchInterval), maxRetry)
}

// Replace puts a certificate in force that another node has granted, if it is for this
// node and of a CA that this one trusts already.
func (s *Store) Replace(r *Request, g Grant) error {
	if err := s.replace(r, g); err != nil {
		return fmt.Errorf("taking this node's new certificate: %w", err)
	}
	return nil
}

func (s *Store) replace(r *Request, g Grant) error {
	chain, err := r.granted(g)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.current.Load()
	id, err := m.verifyOwn(chain, s.now())
	if err != nil {
		return err
	}
	if id != m.self {
		return fmt.Errorf("expected one for %s, found one for %s", m.self, id)
	}
	if err := writePair(s.dir, nodeName, chain[0], r.key); err != nil {
		return err
	}
	return s.read()
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
