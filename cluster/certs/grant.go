package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Request asks for a certificate. Its key never leaves the node.
type Request struct {
	nodeID string
	key    *ecdsa.PrivateKey
	// DER is the PKCS #10 request, which proves that whoever sends it has the key.
	DER []byte
}

// NewRequest makes a key for the node.
func NewRequest(nodeID string) (*Request, error) {
	r := &Request{nodeID: nodeID}
	var err error
	if r.key, err = newKey(); err == nil {
		r.DER, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: nodeID}}, r.key)
	}
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	return r, nil
}

// Grant is what a node that may join is given, each in PEM.
type Grant struct {
	Certificate string `json:"certificate"`
	Trust       string `json:"trust"`
	// Authority is the cluster's CA with its key, for a node that is to vote; else
	// empty.
	Authority string `json:"authority,omitempty"`
}

// Signing says what is signed, and how.
type Signing struct {
	Request []byte
	NodeID  string
	// By is the fingerprint of the CA that is to sign; empty: the one that this node
	// signs with.
	By string
	// WithAuthority adds the CA itself, for a node that is to sign, too.
	WithAuthority bool
}

// Sign certifies the node of a request, for as long as this node's own certificate
// was made for. It is ErrNoAuthority where this node doesn't have the CA.
func (s *Store) Sign(what Signing) (Grant, error) {
	g, err := s.sign(what)
	if err != nil {
		return Grant{}, fmt.Errorf("signing a certificate for %s: %w", what.NodeID, err)
	}
	return g, nil
}

func (s *Store) sign(what Signing) (Grant, error) {
	m := s.current.Load()
	if m.empty() {
		return Grant{}, ErrNoCertificate
	}
	s.mu.Lock()
	ca, err := s.authority(what.By)
	s.mu.Unlock()
	if err != nil {
		return Grant{}, err
	}
	csr, err := x509.ParseCertificateRequest(what.Request)
	if err != nil {
		return Grant{}, err
	}
	if err := csr.CheckSignature(); err != nil {
		return Grant{}, err
	}
	if key, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return Grant{}, fmt.Errorf("its key is of another kind than ECDSA over P-256: %T", csr.PublicKey)
	}
	life, _ := span(m.chain.Leaf)
	cert, err := ca.certify(what.NodeID, csr.PublicKey, life, s.now())
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Certificate: string(encodeCerts(cert)), Trust: string(encodeCerts(m.cas...))}
	if what.WithAuthority {
		text, err := encodePair(ca.cert, ca.key)
		if err != nil {
			return Grant{}, err
		}
		g.Authority = string(text)
	}
	return g, nil
}

// Accept writes what the node was granted for its request and puts it in force, if
// it is for the node in that cluster and a CA that was pinned has to do with it.
func (s *Store) Accept(r *Request, g Grant, clusterID string, pins []string) error {
	if err := s.accept(r, g, clusterID, pins); err != nil {
		return fmt.Errorf("taking this node's new certificate: %w", err)
	}
	return nil
}

func (s *Store) accept(r *Request, g Grant, clusterID string, pins []string) error {
	chain, err := r.granted(g)
	if err != nil {
		return err
	}
	cas, _, err := parse([]byte(g.Trust))
	if err != nil {
		return err
	}
	t := newTrust(cas)
	if _, err := pinned(pins, cas); err != nil {
		return err
	}
	id, err := t.verifyOwn(chain, s.now())
	if err != nil {
		return err
	}
	if want := (Identity{clusterID, r.nodeID}); id != want {
		return fmt.Errorf("expected one for %s, found one for %s", want, id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.Authority != "" {
		if err := write(s.dir, caName, []byte(g.Authority)); err != nil {
			return err
		}
	}
	if err := WriteNode(s.dir, &Node{cert: chain[0], key: r.key}, cas); err != nil {
		return err
	}
	return s.read()
}

// granted is the certificate of g, which has to be for r's key.
func (r *Request) granted(g Grant) ([]*x509.Certificate, error) {
	chain, _, err := parse([]byte(g.Certificate))
	if err == nil && (len(chain) == 0 || !r.key.PublicKey.Equal(chain[0].PublicKey)) {
		err = errors.New("it is for another key than this node's")
	}
	return chain, err
}

// pinned is the first of certs that has one of the fingerprints.
func pinned(pins []string, certs []*x509.Certificate) (*x509.Certificate, error) {
	var found []string
	for _, c := range certs {
		if !c.IsCA {
			continue
		}
		if slices.Contains(pins, Fingerprint(c)) {
			return c, nil
		}
		found = append(found, Fingerprint(c))
	}
	return nil, fmt.Errorf("expected a CA with the SHA-256 %s, found %q: %w", strings.Join(pins, " or "), found, ErrUntrusted)
}
