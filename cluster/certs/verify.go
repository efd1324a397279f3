package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// trust is what a node holds for true.
type trust struct {
	cas   []*x509.Certificate
	roots *x509.CertPool
}

func newTrust(cas []*x509.Certificate) trust {
	t := trust{cas: cas, roots: x509.NewCertPool()}
	for _, c := range cas {
		t.roots.AddCert(c)
	}
	return t
}

// verify says who presented chain. What it returns is only whom the certificate
// is for: whether it should be that one, want says, of which an empty field
// means any. The handshake has proved by then that the other side has the key.
func (t trust) verify(chain []*x509.Certificate, want Identity, usage x509.ExtKeyUsage, now time.Time) (Identity, error) {
	if len(chain) == 0 {
		return Identity{}, fmt.Errorf("expected one for %s: %w", want.describe(), ErrNoCertificate)
	}
	cert := chain[0]
	id, err := IdentityOf(cert)
	if err != nil {
		return Identity{}, fmt.Errorf("the certificate of %q: %w", cert.Subject.CommonName, err)
	}
	if err := t.verifyChain(chain, want.describe(), usage, now); err != nil {
		return Identity{}, fmt.Errorf("the certificate for %s: %w", id, err)
	}
	switch {
	case want.ClusterID != "" && id.ClusterID != want.ClusterID:
		return Identity{}, fmt.Errorf("expected cluster %s, found %s of node %s: %w", want.ClusterID, id.ClusterID, id.NodeID, ErrWrongCluster)
	case want.NodeID != "" && id.NodeID != want.NodeID:
		return Identity{}, fmt.Errorf("expected node %s, found %s: %w", want.NodeID, id.NodeID, ErrWrongNode)
	}
	return id, nil
}

// verifyChain makes sure that a CA that is trusted has signed chain for this usage, and
// that it is valid now. wanted is whose it should be, in words.
func (t trust) verifyChain(chain []*x509.Certificate, wanted string, usage x509.ExtKeyUsage, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: t.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return t.explain(err, chain[0], wanted, now)
	}
	return nil
}

// explain says in words of ours why x509 doesn't accept cert.
func (t trust) explain(err error, cert *x509.Certificate, wanted string, now time.Time) error {
	if late := outOfTime(cert, now); late != nil {
		return late
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return fmt.Errorf("its CA %q: %w", invalid.Cert.Subject.CommonName, outOfTime(invalid.Cert, now))
	}
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	var trusted []string
	for _, c := range t.cas {
		trusted = append(trusted, fmt.Sprintf("%q with key %x", c.Subject.CommonName, c.SubjectKeyId))
	}
	return fmt.Errorf("for %s expected a signature of %s, found one of %q with key %x: %w",
		wanted, strings.Join(trusted, " or "), cert.Issuer.CommonName, cert.AuthorityKeyId, ErrUntrusted)
}

func outOfTime(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("valid from %s to %s, and it is %s here: %w", stamp(c.NotBefore), stamp(c.NotAfter), stamp(now), ErrNotValidNow)
	}
	return nil
}

func (i Identity) describe() string {
	node, cluster := "node "+i.NodeID, "cluster "+i.ClusterID
	if i.NodeID == "" {
		node = "a node"
	}
	if i.ClusterID == "" {
		cluster = "any cluster"
	}
	return node + " of " + cluster
}

// Fingerprint is the SHA-256 of a certificate, in hexadecimal: what 'openssl x509
// -fingerprint -sha256' shows, without colons.
func Fingerprint(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }
