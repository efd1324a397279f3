package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestACertificateIsReplacedWithoutARestart(t *testing.T) {
	t.Parallel()
	ours, next := newAuthority(t, testCluster), newAuthority(t, testCluster)
	at := &clock{at: start}
	s, other := storeOf(t, issue(t, ours, "n1"), at, ours), storeOf(t, issue(t, next, "n2"), at, ours, next)
	config := s.ServerConfig() // as it was before
	dial := func() error {
		_, err := handshake(t, other.ClientConfig(Identity{testCluster, "n1"}), config)
		return err
	}
	if changed, err := s.Reload(); changed || err != nil {
		t.Fatalf("nothing has changed: %t, %v", changed, err)
	}
	at.set(start.Add(NodeLife + time.Hour))
	if err := dial(); !errors.Is(err, ErrNotValidNow) {
		t.Fatalf("an expired one: %v", err)
	}
	if st := s.Status(); !errors.Is(st.Problem, ErrNotValidNow) {
		t.Errorf("status %+v", st)
	}
	fresh, err := next.Issue("n1", NodeLife, at.now())
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteNode(s.dir, fresh, []*x509.Certificate{ours.cert, next.cert}); err != nil {
		t.Fatal(err)
	}
	if changed, err := s.Reload(); !changed || err != nil {
		t.Fatalf("%t, %v", changed, err)
	}
	if err := dial(); err != nil {
		t.Errorf("the new one, of another CA: %v", err)
	}
	cas := []string{Fingerprint(ours.cert), Fingerprint(next.cert)}
	if st := s.Status(); st.Problem != nil || st.Late || !st.NotAfter.Equal(fresh.cert.NotAfter) || !slices.Equal(st.CAs, cas) {
		t.Errorf("status %+v", st)
	}
	at.set(fresh.cert.NotAfter.Add(-NodeLife / 7))
	if st := s.Status(); st.Problem != nil || !st.Late {
		t.Errorf("late, status %+v", st)
	}
}

// What isn't right is told and not put in force, and a node goes on with what it has.
func TestFilesThatAreNotRight(t *testing.T) {
	t.Parallel()
	ours, foreign := newAuthority(t, testCluster), newAuthority(t, "cluster-b")
	put := func(name string, text []byte, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := errors.Join(os.WriteFile(path, text, mode), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
	node := func(n *Node, a *Authority) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := WriteNode(dir, n, []*x509.Certificate{a.cert}); err != nil {
				t.Fatal(err)
			}
		}
	}
	certOf := func(c *x509.Certificate) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: c.Raw})
	}
	for _, c := range []struct {
		name   string
		change func(*testing.T, string)
		text   string
		fresh  bool // wrong at a start, too
	}{
		{"another node's", node(issue(t, ours, "n2"), ours), "expected a certificate for pipesync://cluster-a/node/n1, which this node is, found one for pipesync://cluster-a/node/n2", false},
		{"another cluster's", node(issue(t, foreign, "n1"), foreign), "found one for pipesync://cluster-b/node/n1", false},
		{"gone", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, nodeName)); err != nil {
				t.Fatal(err)
			}
		}, "node.pem is gone", false},
		{"not of a trusted CA", node(issue(t, newAuthority(t, testCluster), "n1"), ours), "expected a signature of", true},
		{"no PEM", put(nodeName, []byte("x"), 0o600), "0 certificates", true},
		{"no key", put(nodeName, certOf(issue(t, ours, "n1").cert), 0o600), "has a private key: false", true},
		{"torn", put(nodeName, []byte("-----BEGIN CERTIFICATE-----\nMIIB"), 0o600), "0 certificates", true},
		{"too large", put(nodeName, make([]byte, maxFileBytes+1), 0o600), "over 262144 bytes", true},
		{"readable by others", put(nodeName, nil, 0o640), "chmod 600", true},
		{"a key of others", func(t *testing.T, dir string) {
			n := issue(t, ours, "n1")
			n.key = issue(t, ours, "n1").key
			node(n, ours)(t, dir)
		}, "the private key is not that of the first certificate", true},
		{"trust in nobody", put(trustName, nil, 0o600), "it holds no certificate", true},
		{"trust in a node", put(trustName, certOf(issue(t, ours, "n2").cert), 0o600), "is no CA's", true},
		{"a CA that isn't one", put(caName, []byte("x"), 0o600), "ca.pem", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := storeOf(t, issue(t, ours, "n1"), &clock{at: start}, ours)
			before := s.current.Load()
			c.change(t, s.dir)
			for range 2 { // told once, and still in the status
				if _, err := s.Reload(); err != nil && !strings.Contains(err.Error(), c.text) {
					t.Errorf("%v, want %q in it", err, c.text)
				}
				if st := s.Status(); st.Problem == nil || !strings.Contains(st.Problem.Error(), c.text) {
					t.Errorf("status %v, want %q in it", st.Problem, c.text)
				}
			}
			if s.current.Load() != before {
				t.Error("it is in force")
			}
			if _, err := Open(s.dir, s.now); (err != nil) != c.fresh {
				t.Errorf("at a start: %v", err)
			}
		})
	}
}

func TestFoundingMakesWhatIsMissing(t *testing.T) {
	t.Parallel()
	at := &clock{at: start}
	open := func(dir string) *Store {
		s, err := Open(dir, at.now)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	dir := filepath.Join(t.TempDir(), "certs")
	s := open(dir)
	if id, err := s.Found("cluster-new", "n1"); id != "cluster-new" || err != nil {
		t.Fatalf("%q, %v", id, err)
	}
	for _, name := range []string{trustName, nodeName, caName} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	first := s.current.Load().chain.Leaf
	if id, err := open(dir).Found("cluster-other", "n1"); id != "cluster-new" || err != nil {
		t.Errorf("again: %q, %v", id, err)
	}
	if again := open(dir).current.Load().chain.Leaf; !again.Equal(first) {
		t.Error("the certificate was made again")
	}
	if _, err := s.Found("cluster-other", "n2"); !errors.Is(err, ErrWrongNode) {
		t.Errorf("another node: %v", err)
	}
	// A crash before the node's certificate: the CA that is there signs.
	if err := os.Remove(filepath.Join(dir, nodeName)); err != nil {
		t.Fatal(err)
	}
	if id, err := open(dir).Found("cluster-other", "n1"); id != "cluster-new" || err != nil {
		t.Errorf("with the CA alone: %q, %v", id, err)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, nodeName)), os.Remove(filepath.Join(dir, caName))); err != nil {
		t.Fatal(err)
	}
	if _, err := open(dir).Found("cluster-other", "n1"); err == nil || !strings.Contains(err.Error(), "put this node's certificate there") {
		t.Errorf("a CA of which there is no key: %v", err)
	}
}

func TestACertificateIsRenewedInTime(t *testing.T) {
	t.Parallel()
	at := &clock{at: start}
	dir := filepath.Join(t.TempDir(), "certs")
	s, err := Open(dir, at.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Found(testCluster, "n1"); err != nil {
		t.Fatal(err)
	}
	renewed := func(after time.Duration) bool {
		t.Helper()
		at.set(start.Add(after))
		renewed, err := s.Renew()
		if err != nil {
			t.Fatal(err)
		}
		return renewed
	}
	const day = 24 * time.Hour
	if renewed(0) || renewed(60*day-time.Second) || !renewed(60*day) || renewed(61*day) || !renewed(120*day) {
		t.Error("not at two thirds of its life")
	}
	if st := s.Status(); !st.NotAfter.Equal(start.Add(210*day)) || st.Problem != nil {
		t.Errorf("status %+v", st)
	}
	// One that has expired while the node was down is made good at the start.
	at.set(start.Add(400 * day))
	again, err := Open(dir, at.now)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(again.Status().Problem, ErrNotValidNow) {
		t.Errorf("status %+v", again.Status())
	}
	if done, err := again.Renew(); !done || err != nil || again.Status().Problem != nil {
		t.Errorf("%t, %v", done, err)
	}
	if due, _ := again.Due(); due {
		t.Error("another has to sign, although the CA is here")
	}
	// Without the CA there is nothing to renew with, and another cluster's is no help.
	at.set(start.Add(800 * day))
	if err := os.Rename(filepath.Join(dir, caName), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if done, err := again.Renew(); done || err != nil {
		t.Errorf("without the CA: %t, %v", done, err)
	}
	if due, retry := again.Due(); !due || retry != maxRetry {
		t.Errorf("without the CA: due %t, again in %s", due, retry)
	}
	other := newAuthority(t, testCluster)
	if err := writePair(dir, caName, other.cert, other.key); err != nil {
		t.Fatal(err)
	}
	if done, err := again.Renew(); done || err == nil || !strings.Contains(err.Error(), "not among those that this node trusts") {
		t.Errorf("with a CA that isn't trusted: %t, %v", done, err)
	}
}

// What another node grants is taken only if it is this node's and of a trusted CA.
func TestGrantsAreChecked(t *testing.T) {
	t.Parallel()
	at := &clock{at: start}
	ours, other := newAuthority(t, testCluster), newAuthority(t, testCluster)
	signer := func(a *Authority) *Store {
		s := storeOf(t, issue(t, a, "n1"), at, a)
		if err := writePair(s.dir, caName, a.cert, a.key); err != nil {
			t.Fatal(err)
		}
		return s
	}
	n2 := storeOf(t, issue(t, ours, "n2"), at, ours)
	req, err := NewRequest("n2")
	if err != nil {
		t.Fatal(err)
	}
	sign := func(a *Authority, der []byte, node string) Grant {
		g, err := signer(a).Sign(Signing{Request: der, NodeID: node})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	another, err := NewRequest("n2")
	if err != nil {
		t.Fatal(err)
	}
	for text, g := range map[string]Grant{
		"for another key":         sign(ours, another.DER, "n2"),
		"found one for pipesync":  sign(ours, req.DER, "n3"),
		"expected a signature of": sign(other, req.DER, "n2"),
	} {
		if err := n2.Replace(req, g); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
		fresh, err := Open(t.TempDir(), at.now)
		if err != nil {
			t.Fatal(err)
		}
		if err := fresh.Accept(req, g, testCluster, []string{Fingerprint(ours.cert)}); err == nil {
			t.Errorf("%s: taken by a joiner", text)
		}
	}
	if err := n2.Replace(req, sign(ours, req.DER, "n2")); err != nil {
		t.Error(err)
	}
	damaged := slices.Clone(req.DER)
	damaged[len(damaged)-1] ^= 1
	if _, err := signer(ours).Sign(Signing{Request: damaged, NodeID: "n2"}); err == nil {
		t.Error("a request whose signature is wrong")
	}
	if _, err := n2.Sign(Signing{Request: req.DER, NodeID: "n2"}); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("signed without the CA: %v", err)
	}
}
