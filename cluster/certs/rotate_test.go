package certs

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A node with the CA and one without go through all steps, each taken twice, and what
// they have in force is what is on their disks.
func TestTheStepsToANewCA(t *testing.T) {
	t.Parallel()
	at := &clock{at: start}
	ours := newAuthority(t, testCluster)
	signs, other := storeOf(t, issue(t, ours, "n1"), at, ours), storeOf(t, issue(t, ours, "n2"), at, ours)
	for _, s := range []*Store{signs, other} {
		if err := WriteAuthority(s.dir, ours); err != nil {
			t.Fatal(err)
		}
	}
	ca, err := signs.StageNew()
	if err != nil {
		t.Fatal(err)
	}
	at.set(start.Add(NodeLife / 2))
	twice := func(step func() error) {
		t.Helper()
		if err := errors.Join(step(), step()); err != nil {
			t.Error(err)
		}
	}
	has := func(s *Store, want Steps) {
		t.Helper()
		again, err := Open(s.dir, at.now)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*Store{s, again} {
			if got, err := s.Steps(ca); got != want || err != nil {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
		}
	}
	has(signs, Steps{Key: true, Others: true})
	has(other, Steps{Others: true})
	for _, s := range []*Store{signs, other} {
		if err := s.TrustOnly(ca); !errors.Is(err, ErrUntrusted) {
			t.Errorf("too early: %v", err)
		}
		twice(func() error { return s.Trust(ca) })
	}
	has(signs, Steps{Key: true, Others: true, Trusts: true})
	for _, s := range []*Store{signs, other} {
		twice(func() error { return s.Adopt(ca) })
	}
	has(signs, Steps{Key: true, Trusts: true, Signs: true})
	has(other, Steps{Trusts: true})

	twice(signs.Reissue)
	if err := other.Reissue(); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("without a CA: %v", err)
	}
	req, err := NewRequest("n2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signs.Sign(Signing{Request: req.DER, NodeID: "n2", By: Fingerprint(ours.cert)}); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("by the old CA: %v", err)
	}
	g, err := signs.Sign(Signing{Request: req.DER, NodeID: "n2", By: Fingerprint(ca)})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Replace(req, g); err != nil {
		t.Fatal(err)
	}
	has(other, Steps{Trusts: true, Shows: true})
	for _, s := range []*Store{signs, other} {
		if life, _ := span(s.current.Load().chain.Leaf); life != NodeLife {
			t.Errorf("its certificate lives %s", life)
		}
		twice(func() error { return s.TrustOnly(ca) })
	}
	has(signs, Steps{Key: true, Trusts: true, Signs: true, Shows: true, Only: true})
	has(other, Steps{Trusts: true, Shows: true, Only: true})
	if _, err := handshake(t, other.ClientConfig(signs.Self()), signs.ServerConfig()); err != nil {
		t.Error(err)
	}
	if st := signs.Status(); st.Problem != nil || !slices.Equal(st.CAs, []string{Fingerprint(ca)}) {
		t.Errorf("status %+v", st)
	}
}

// A CA is handed on with its key, and only what it should be is kept.
func TestANewCAIsHandedOn(t *testing.T) {
	t.Parallel()
	at := &clock{at: start}
	ours, another := newAuthority(t, testCluster), newAuthority(t, testCluster)
	from, to := storeOf(t, issue(t, ours, "n1"), at, ours), storeOf(t, issue(t, ours, "n2"), at, ours)
	if _, err := from.Authority(Fingerprint(ours.cert)); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("what isn't there: %v", err)
	}
	ca, err := from.StageNew()
	if err != nil {
		t.Fatal(err)
	}
	text, err := from.Authority(Fingerprint(ca))
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		text string
		ca   *x509.Certificate
	}{
		"expected the CA":      {text, another.cert},
		"has a private key: f": {string(encodeCerts(ca)), ca},
	} {
		if err := to.StageFrom(c.text, c.ca); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	if err := to.StageFrom(text, ca); err != nil {
		t.Fatal(err)
	}
	if got, err := to.Authority(Fingerprint(ca)); got != text || err != nil {
		t.Errorf("handed on: %v", err)
	}
	if info, err := os.Stat(filepath.Join(to.dir, nextName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestCAsThatAreNotTheClusters(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, testCluster)
	if _, err := ParseCA(ours.cert.Raw, testCluster); err != nil {
		t.Error(err)
	}
	if _, err := ParseCA(ours.cert.Raw, "cluster-b"); !errors.Is(err, ErrWrongCluster) {
		t.Errorf("another cluster's: %v", err)
	}
	for name, der := range map[string][]byte{"a node's": issue(t, ours, "n1").cert.Raw, "an outside one": unbound(t).cert.Raw, "no certificate": {1}} {
		if _, err := ParseCA(der, testCluster); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	var g Grant
	g.TrustToo(ours.cert)
	g.TrustToo(ours.cert)
	if g.Trust != string(encodeCerts(ours.cert)) {
		t.Errorf("trusted: %s", g.Trust)
	}
}
