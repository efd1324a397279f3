package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"pipesync/internal/durable"
)

// A new CA takes the place of the cluster's own in steps, each of which all nodes take
// before any takes the next: see docs/adr/0022-ca-rotation.md. Each may be repeated.
//
//	               trust.pem    node.pem by    ca.pem    ca-next.pem
//	before         old          old            old
//	Stage…, Trust  old, new     old            old       new
//	Adopt, Reissue old, new     new            new
//	TrustOnly      new          new            new

// ParseCA reads a CA's certificate in DER, which has to be for the cluster.
func ParseCA(der []byte, clusterID string) (*x509.Certificate, error) {
	ca, err := x509.ParseCertificate(der)
	if err == nil && !isAuthority(ca) {
		err = errNotAuthority
	}
	if err == nil && ca.PermittedURIDomains[0] != clusterID {
		err = fmt.Errorf("it is for %s: %w", ca.PermittedURIDomains[0], ErrWrongCluster)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a CA's certificate: %w", err)
	}
	return ca, nil
}

// Steps are those that a node has taken towards a new CA.
type Steps struct {
	Key    bool // the CA's key is here
	Trusts bool // the CA is trusted
	Signs  bool // ca.pem is the CA
	Others bool // ca.pem is another CA
	Shows  bool // this node's certificate is signed by the CA
	Only   bool // no other CA is trusted
}

// Steps says how far this node is with ca, by what is in force.
func (s *Store) Steps(ca *x509.Certificate) (Steps, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.current.Load()
	taken := Steps{
		Trusts: slices.ContainsFunc(m.cas, ca.Equal), Shows: m.ca == Fingerprint(ca),
		Only: len(m.cas) == 1 && m.cas[0].Equal(ca),
	}
	_, err := s.authority(Fingerprint(ca))
	taken.Key = err == nil
	if err != nil && !errors.Is(err, ErrNoAuthority) {
		return taken, err
	}
	now, err := ReadAuthority(s.dir)
	switch {
	case err == nil:
		taken.Signs = now.cert.Equal(ca)
		taken.Others = !taken.Signs
	case errors.Is(err, ErrNoAuthority):
		err = nil
	}
	return taken, err
}

// StageNew makes a CA that is to be the cluster's one day, and keeps it.
func (s *Store) StageNew() (*x509.Certificate, error) {
	ca, err := NewAuthority(s.Self().ClusterID, s.now())
	if err != nil {
		return nil, err
	}
	return ca.cert, s.stage(ca)
}

func (s *Store) stage(a *Authority) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return writePair(s.dir, nextName, a.cert, a.key)
}

// HasAuthority says that this node has the key of a CA that it trusts.
func (s *Store) HasAuthority() bool {
	ca, err := ReadAuthority(s.dir)
	return err == nil && slices.ContainsFunc(s.current.Load().cas, ca.cert.Equal)
}

// Authority is the CA with that fingerprint with its key, in PEM, of this node's own or
// of the one that is to be it. It is ErrNoAuthority if it isn't here.
func (s *Store) Authority(fingerprint string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.authority(fingerprint)
	if err != nil {
		return "", err
	}
	text, err := encodePair(a.cert, a.key)
	return string(text), err
}

// StageFrom keeps what another node's Authority has returned, if it is ca with its key.
func (s *Store) StageFrom(text string, ca *x509.Certificate) error {
	chain, key, err := parsePair([]byte(text))
	if err == nil && !chain[0].Equal(ca) {
		err = fmt.Errorf("expected the CA with the SHA-256 %s, found %s: %w", Fingerprint(ca), Fingerprint(chain[0]), ErrUntrusted)
	}
	if err == nil {
		err = s.stage(&Authority{cert: chain[0], key: key})
	}
	if err != nil {
		return fmt.Errorf("keeping the new CA: %w", err)
	}
	return nil
}

// Trust has this node trust ca, too.
func (s *Store) Trust(ca *x509.Certificate) error {
	return s.trustAll(func(m *material) ([]*x509.Certificate, error) {
		if slices.ContainsFunc(m.cas, ca.Equal) {
			return m.cas, nil
		}
		return append(slices.Clone(m.cas), ca), nil
	})
}

// TrustOnly has this node trust no other CA than the one that has signed its own
// certificate, ca.
func (s *Store) TrustOnly(ca *x509.Certificate) error {
	return s.trustAll(func(m *material) ([]*x509.Certificate, error) {
		if m.ca != Fingerprint(ca) {
			return nil, fmt.Errorf("this node's own certificate is not of the CA with the SHA-256 %s: %w", Fingerprint(ca), ErrUntrusted)
		}
		return []*x509.Certificate{ca}, nil
	})
}

func (s *Store) trustAll(whom func(*material) ([]*x509.Certificate, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.current.Load()
	if m.empty() {
		return fmt.Errorf("changing whom this node trusts: %w", ErrNoCertificate)
	}
	cas, err := whom(m)
	if err == nil && !slices.EqualFunc(cas, m.cas, (*x509.Certificate).Equal) {
		if err = writeTrust(s.dir, cas); err == nil {
			err = s.read()
		}
	}
	if err != nil {
		return fmt.Errorf("changing whom this node trusts: %w", err)
	}
	return nil
}

// Adopt makes ca, if it is staged, the one that this node signs with. A node without its
// key keeps no other's either.
func (s *Store) Adopt(ca *x509.Certificate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.adopt(ca); err != nil {
		return fmt.Errorf("changing the CA that this node signs with: %w", err)
	}
	return s.read()
}

func (s *Store) adopt(ca *x509.Certificate) error {
	now, err := ReadAuthority(s.dir)
	if err != nil && !errors.Is(err, ErrNoAuthority) {
		return err
	}
	if err == nil && now.cert.Equal(ca) {
		return s.remove(nextName)
	}
	if _, err := s.authority(Fingerprint(ca)); errors.Is(err, ErrNoAuthority) {
		return errors.Join(s.remove(caName), s.remove(nextName))
	} else if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(s.dir, nextName), filepath.Join(s.dir, caName)); err != nil {
		return err
	}
	return durable.SyncDir(s.dir)
}

func (s *Store) remove(name string) error {
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return durable.SyncDir(s.dir)
}

// Reissue gives this node a certificate of its own CA, which has to be trusted, for as
// long as the one that it has was made for. It is ErrNoAuthority where there is none.
func (s *Store) Reissue() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.current.Load()
	if m.empty() {
		return fmt.Errorf("replacing this node's certificate: %w", ErrNoCertificate)
	}
	life, _ := span(m.chain.Leaf)
	ca, err := ReadAuthority(s.dir)
	if err == nil {
		err = s.renewBy(ca, m, life)
	}
	if err != nil {
		return fmt.Errorf("replacing this node's certificate: %w", err)
	}
	return nil
}

// authority is the CA with that fingerprint, in ca.pem or ca-next.pem; empty: the one
// in ca.pem, whichever it is. mu is held.
func (s *Store) authority(fingerprint string) (*Authority, error) {
	for _, name := range []string{caName, nextName} {
		a, err := readAuthority(s.dir, name)
		if errors.Is(err, ErrNoAuthority) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if fingerprint == "" && name == caName || Fingerprint(a.cert) == fingerprint {
			return a, nil
		}
	}
	if fingerprint == "" {
		return nil, ErrNoAuthority
	}
	return nil, fmt.Errorf("the CA with the SHA-256 %s: %w", fingerprint, ErrNoAuthority)
}

// TrustToo adds ca to those that the grant has its node trust.
func (g *Grant) TrustToo(ca *x509.Certificate) {
	if text := encodeCerts(ca); !bytes.Contains([]byte(g.Trust), text) {
		g.Trust += string(text)
	}
}
