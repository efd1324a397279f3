package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"time"
)

const (
	// NodeLife is how long a node's certificate is valid unless told otherwise.
	NodeLife = 90 * 24 * time.Hour
	caLife   = 10 * 365 * 24 * time.Hour
	// backdated is how far a certificate's validity reaches back, so that a node
	// whose clock is late can use it at once.
	backdated = 5 * time.Minute
)

// Authority is a cluster's own CA. It can sign for that cluster alone: its
// certificate carries a critical name constraint, which every verifier checks.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes the CA of a cluster, valid for ten years from now on.
func NewAuthority(clusterID string, now time.Time) (*Authority, error) {
	// As a certificate's reader sees it: one with a slash would be another.
	if u, err := url.Parse((Identity{clusterID, "any"}).String()); err != nil || clusterID == "" || u.Host != clusterID {
		return nil, fmt.Errorf("making a CA: %q can't be a cluster's id", clusterID)
	}
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("making a CA: %w", err)
	}
	template := &x509.Certificate{
		Subject:                     pkix.Name{CommonName: "Pipesync CA of " + clusterID},
		NotBefore:                   now.Add(-backdated),
		NotAfter:                    now.Add(caLife),
		KeyUsage:                    x509.KeyUsageCertSign,
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLenZero:              true,
		PermittedDNSDomainsCritical: true, // all of the constraints, whatever its name
		PermittedURIDomains:         []string{clusterID},
	}
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a CA: %w", err)
	}
	return &Authority{cert: cert, key: key}, nil
}

// ClusterID is the cluster that the CA may sign for.
func (a *Authority) ClusterID() string { return a.cert.PermittedURIDomains[0] }

// Certificate is the CA's own, which the nodes trust.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Node is a certificate with its key, as node.pem has them.
type Node struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// NotAfter is when the certificate ends.
func (n *Node) NotAfter() time.Time { return n.cert.NotAfter }

// Issue makes a key for the node and a certificate for it, valid for life from
// now on, but no longer than the CA itself.
func (a *Authority) Issue(nodeID string, life time.Duration, now time.Time) (*Node, error) {
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("making a key for %s: %w", nodeID, err)
	}
	cert, err := a.certify(nodeID, key.Public(), life, now)
	if err != nil {
		return nil, err
	}
	return &Node{cert: cert, key: key}, nil
}

func (a *Authority) certify(nodeID string, key crypto.PublicKey, life time.Duration, now time.Time) (*x509.Certificate, error) {
	id := Identity{ClusterID: a.ClusterID(), NodeID: nodeID}
	doing := "issuing a certificate for " + id.String()
	if nodeID == "" {
		return nil, fmt.Errorf("%s: %w", doing, errIncompleteIdentity)
	}
	cert, err := a.signFor(life, now, key, &x509.Certificate{
		Subject:     pkix.Name{CommonName: nodeID},
		URIs:        []*url.URL{id.uri()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	// As a certificate's reader sees it.
	if got, err := IdentityOf(cert); err != nil || got != id {
		return nil, errors.Join(fmt.Errorf("%s: it would be read as %s", doing, got), err)
	}
	return cert, nil
}

// signFor signs what template names, valid for life from now on, but no longer than
// the CA itself.
func (a *Authority) signFor(life time.Duration, now time.Time, key crypto.PublicKey, template *x509.Certificate) (*x509.Certificate, error) {
	template.NotBefore, template.NotAfter = now.Add(-backdated), now.Add(life)
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	if !template.NotAfter.After(now) {
		return nil, fmt.Errorf("the CA is valid until %s: %w", stamp(a.cert.NotAfter), ErrNotValidNow)
	}
	template.KeyUsage, template.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	return sign(template, a.cert, key, a.key)
}

// newKey makes a key for ECDSA over P-256, which every TLS library and every
// outside CA knows, and which Go has in assembly.
func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// sign gives the certificate a random serial number.
func sign(template, parent *x509.Certificate, key crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
