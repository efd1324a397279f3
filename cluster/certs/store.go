package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Store is a node's directory of certificates and what is in force of it. Its
// methods may be called concurrently.
type Store struct {
	dir string
	clocks

	current atomic.Pointer[material] // never nil

	mu     sync.Mutex // held while the files are read or written
	marks  []mark     // of the files when they were last read
	broken error      // why what is on the disk isn't in force; nil: it is
}

// material is what was read together and belongs together.
type material struct {
	trust
	self  Identity
	ca    string          // fingerprint of the CA that has signed the chain
	chain tls.Certificate // without a certificate: the node has none yet
}

func (m *material) empty() bool { return m.chain.Leaf == nil }

// Open reads dir, which may be missing or empty: the node has no certificate then,
// until Found makes one or the files appear. Files that are there have to be
// right, but for a certificate that has expired: it is replaced while the node
// runs. now is the clock by which certificates are made and replaced; to be valid, they
// have to be so by it or by one of the others.
func Open(dir string, now func() time.Time, others ...func() time.Time) (*Store, error) {
	s := &Store{dir: dir, clocks: append(clocks{now}, others...)}
	s.current.Store(&material{trust: newTrust(nil)})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil {
		return nil, err
	}
	return s, nil
}

// Self is whom this node's certificate is for; empty: it has none yet.
func (s *Store) Self() Identity { return s.current.Load().self }

// Dir is where the files are.
func (s *Store) Dir() string { return s.dir }

// read puts what is on the disk in force, or nothing of it. mu is held.
func (s *Store) read() error {
	marks := s.marksNow()
	m, err := readMaterial(s.dir, s.now())
	s.marks = marks
	if had := s.Self(); err == nil && had != (Identity{}) {
		err = m.replaces(had)
	}
	if s.broken = err; err != nil {
		return err
	}
	s.current.Store(m)
	return nil
}

// replaces makes sure that m is for the same node, had.
func (m *material) replaces(had Identity) error {
	if m.empty() {
		return fmt.Errorf("%s is gone: %w", nodeName, ErrNoCertificate)
	}
	if m.self != had {
		return fmt.Errorf("reading %s: expected a certificate for %s, which this node is, found one for %s", nodeName, had, m.self)
	}
	return nil
}

func readMaterial(dir string, now time.Time) (*material, error) {
	_, err := ReadAuthority(dir)
	if err != nil && !errors.Is(err, ErrNoAuthority) {
		return nil, err
	}
	path := filepath.Join(dir, nodeName)
	chain, key, err := readPair(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &material{trust: newTrust(nil)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	cas, err := ReadTrust(dir)
	if err != nil {
		return nil, err
	}
	m := &material{trust: newTrust(cas), chain: tls.Certificate{PrivateKey: key, Leaf: chain[0]}}
	for _, c := range chain {
		m.chain.Certificate = append(m.chain.Certificate, c.Raw)
	}
	if ca := m.issuer(chain); ca != nil {
		m.ca = Fingerprint(ca)
		m.chain.Certificate = append(m.chain.Certificate, ca.Raw)
	}
	if m.self, err = m.verifyOwn(chain, now); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return m, nil
}

// issuer is the trusted CA that has signed the end of chain; nil: none. It is shown with
// it to whoever knows no more of it than a fingerprint.
func (t trust) issuer(chain []*x509.Certificate) *x509.Certificate {
	for _, ca := range t.cas {
		if chain[len(chain)-1].CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// verifyOwn verifies a node's own certificate, for both sides of a connection. It
// may have expired since it was made, or not be valid yet.
func (t trust) verifyOwn(chain []*x509.Certificate, now time.Time) (id Identity, err error) {
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		id, err = t.verify(chain, Identity{}, usage, now)
		for _, at := range []time.Time{chain[0].NotBefore, chain[0].NotAfter} {
			if errors.Is(err, ErrNotValidNow) {
				id, err = t.verify(chain, Identity{}, usage, at)
			}
		}
		if err != nil {
			return Identity{}, err
		}
	}
	return id, nil
}

// Found makes the node ready to found a cluster, and returns the cluster's id:
// that of the certificates that are here, or of a CA that is, which then signs
// one for the node; else newID, for which a CA is made. It may be repeated after
// a crash.
func (s *Store) Found(newID, nodeID string) (clusterID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil { // what was put there since
		return "", err
	}
	if s.current.Load().empty() {
		if err := s.found(newID, nodeID); err != nil {
			return "", fmt.Errorf("making certificates for a new cluster: %w", err)
		}
	}
	self := s.Self()
	if self.NodeID != nodeID {
		return "", fmt.Errorf("%s is for node %s: this is node %s: %w", filepath.Join(s.dir, nodeName), self.NodeID, nodeID, ErrWrongNode)
	}
	return self.ClusterID, nil
}

func (s *Store) found(newID, nodeID string) error {
	authority, err := ReadAuthority(s.dir)
	if errors.Is(err, ErrNoAuthority) {
		if _, err := ReadTrust(s.dir); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s has %s, but neither %s nor %s: put this node's certificate there, or name an empty directory", s.dir, trustName, nodeName, caName)
		}
		authority, err = NewAuthority(newID, s.now())
	}
	if err != nil {
		return err
	}
	if err := Provide(s.dir, authority, nodeID, s.now()); err != nil {
		return err
	}
	return s.read()
}

// lateShare is the part of a certificate's life, at its end, in which it is late: a
// sixth, or 15 days of 90.
const lateShare = 6

func isLate(cert *x509.Certificate, now time.Time) bool {
	return now.After(cert.NotAfter.Add(-cert.NotAfter.Sub(cert.NotBefore) / lateShare))
}

// Status is the state of a node's certificates for one of its ports.
type Status struct {
	// NotAfter is when the certificate ends; zero: there is none.
	NotAfter time.Time
	// Late: so little is left of its life that it should have been replaced by now.
	Late bool
	// CAs are the fingerprints of those that are trusted, and CA that of the one that
	// has signed the certificate, or the CA of who has.
	CAs []string
	CA  string
	// Problem is why the certificate doesn't do, or why what is on the disk isn't in
	// force; nil: all is well.
	Problem error
}

// Status is this node's, now.
func (s *Store) Status() Status {
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	m := s.current.Load()
	if m.empty() {
		return Status{Problem: broken}
	}
	cert := m.chain.Leaf
	st := Status{NotAfter: cert.NotAfter, CA: m.ca, Problem: broken}
	st.Late = isLate(cert, s.now())
	for _, c := range m.cas {
		st.CAs = append(st.CAs, Fingerprint(c))
	}
	if late := outOfTime(cert, s.now()); late != nil {
		st.Problem = errors.Join(fmt.Errorf("this node's certificate is %w", late), broken)
	}
	return st
}
