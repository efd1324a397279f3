package certs

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const testCluster = "cluster-a"

// clock is one that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

func newAuthority(t *testing.T, clusterID string) *Authority {
	t.Helper()
	a, err := NewAuthority(clusterID, start)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *Authority, nodeID string) *Node {
	t.Helper()
	n, err := a.Issue(nodeID, NodeLife, start)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// storeOf is one whose node has the certificate, and trusts those in trust.
func storeOf(t *testing.T, n *Node, at *clock, trust ...*Authority) *Store {
	t.Helper()
	dir := t.TempDir()
	var cas []*x509.Certificate
	for _, a := range trust {
		cas = append(cas, a.cert)
	}
	if err := WriteNode(dir, n, cas); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, at.now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// forged signs a certificate that a itself would not make.
func forged(t *testing.T, a *Authority, change func(*x509.Certificate)) *Node {
	t.Helper()
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "forged"},
		URIs:        []*url.URL{Identity{testCluster, "n1"}.uri()},
		NotBefore:   start.Add(-backdated),
		NotAfter:    start.Add(NodeLife),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	change(template)
	cert, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &Node{cert, key}
}

// unbound is a CA without the constraint, as an outside PKI's is.
func unbound(t *testing.T) *Authority {
	t.Helper()
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "outside"}, NotBefore: start.Add(-time.Hour), NotAfter: start.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{cert, key}
}

func uri(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestWhoCounts(t *testing.T) {
	t.Parallel()
	ours, outside := newAuthority(t, testCluster), unbound(t)
	n1 := Identity{testCluster, "n1"}
	names := func(uris ...*url.URL) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.URIs = uris }
	}
	for _, c := range []struct {
		name string
		node *Node
		want Identity
		at   time.Time
		err  error
		text []string // all in the error
	}{
		{name: "the node that is meant", node: issue(t, ours, "n1"), want: n1},
		{name: "any node", node: issue(t, ours, "n2"), want: Identity{testCluster, ""}},
		{name: "of an outside CA", node: forged(t, outside, names(n1.uri())), want: n1},
		{name: "with other names beside", node: forged(t, outside, names(n1.uri(), uri(t, "spiffe://x/y"))), want: n1},
		{name: "none", node: nil, want: n1, err: ErrNoCertificate, text: []string{"expected one for node n1 of cluster cluster-a"}},
		{name: "another node", node: issue(t, ours, "n2"), want: n1, err: ErrWrongNode, text: []string{"expected node n1, found n2"}},
		{name: "another cluster, of an outside CA", node: forged(t, outside, names(Identity{"cluster-b", "n1"}.uri())), want: n1,
			err: ErrWrongCluster, text: []string{"expected cluster cluster-a, found cluster-b of node n1"}},
		{name: "another cluster, of our CA", node: forged(t, ours, names(Identity{"cluster-b", "n1"}.uri())), want: Identity{"cluster-b", "n1"},
			err: ErrUntrusted, text: []string{"pipesync://cluster-b/node/n1", "constraint"}},
		{name: "another CA of the same name", node: issue(t, newAuthority(t, testCluster), "n1"), want: n1,
			err: ErrUntrusted, text: []string{"expected a signature of \"Pipesync CA of cluster-a\" with key", "found one of \"Pipesync CA of cluster-a\" with key"}},
		{name: "another cluster's own CA", node: issue(t, newAuthority(t, "cluster-b"), "n1"), want: n1,
			err: ErrUntrusted, text: []string{"pipesync://cluster-b/node/n1", "for node n1 of cluster cluster-a", "found one of \"Pipesync CA of cluster-b\""}},
		{name: "expired", node: issue(t, ours, "n1"), want: n1, at: start.Add(NodeLife + time.Second),
			err: ErrNotValidNow, text: []string{"valid from 2026-03-01T11:55:00Z to 2026-05-30T12:00:00Z, and it is 2026-05-30T12:00:01Z here"}},
		{name: "the CA expired", node: forged(t, ours, func(c *x509.Certificate) { c.NotAfter = start.Add(2 * caLife) }), want: n1, at: start.Add(caLife + time.Hour),
			err: ErrNotValidNow, text: []string{"its CA \"Pipesync CA of cluster-a\": valid from"}},
		{name: "not valid yet", node: issue(t, ours, "n1"), want: n1, at: start.Add(-time.Hour), err: ErrNotValidNow},
		{name: "for another use", node: forged(t, ours, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), want: n1, err: ErrUntrusted},
		{name: "without a node", node: forged(t, outside, names(uri(t, "pipesync://cluster-a"))), want: n1, err: ErrNoIdentity, text: []string{"pipesync://CLUSTER_ID/node/NODE_ID"}},
		{name: "with a query", node: forged(t, outside, names(uri(t, "pipesync://cluster-a/node/n1?x"))), want: n1, err: ErrNoIdentity},
		{name: "without our names", node: forged(t, outside, names(uri(t, "https://cluster-a/node/n1"))), want: n1, err: ErrNoIdentity},
		{name: "two nodes", node: forged(t, outside, names(n1.uri(), Identity{testCluster, "n2"}.uri())), want: n1, err: ErrNoIdentity, text: []string{"2 URIs"}},
		{name: "signed by a node", node: forged(t, asAuthority(issue(t, ours, "n2")), names(n1.uri())), want: n1, err: ErrUntrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := c.at
			if at.IsZero() {
				at = start
			}
			var chain []*x509.Certificate
			if c.node != nil {
				chain = append(chain, c.node.cert)
			}
			tr := newTrust([]*x509.Certificate{ours.cert, outside.cert})
			for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
				_, err := tr.verify(chain, c.want, usage, at)
				if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Fatalf("%v, want %v", err, c.err)
				}
				for _, text := range c.text {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("%q is not in: %v", text, err)
					}
				}
			}
		})
	}
}

// asAuthority signs with a node's own key, which no CA has allowed.
func asAuthority(n *Node) *Authority { return &Authority{n.cert, n.key} }

// connected are both ends of a connection.
func connected(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err == nil {
		b, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

// handshake lets client dial server.
func handshake(t *testing.T, client, server *tls.Config) (state tls.ConnectionState, clientErr error) {
	t.Helper()
	a, b := connected(t)
	c, s := tls.Client(a, client), tls.Server(b, server)
	done := make(chan error, 1)
	go func() {
		err := s.Handshake()
		if err != nil {
			_ = b.Close()
		}
		done <- err
	}()
	clientErr = c.Handshake()
	if clientErr != nil {
		_ = a.Close()
	}
	serverErr := <-done
	if clientErr == nil && serverErr != nil {
		t.Fatalf("the server alone failed: %v", serverErr)
	}
	return s.ConnectionState(), clientErr
}

func TestBothSidesOfAHandshake(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, testCluster)
	at := &clock{at: start}
	n1, n2 := storeOf(t, issue(t, ours, "n1"), at, ours), storeOf(t, issue(t, ours, "n2"), at, ours)
	toN2 := Identity{testCluster, "n2"}
	state, err := handshake(t, n1.ClientConfig(toN2), n2.ServerConfig())
	if err != nil || state.Version != tls.VersionTLS13 {
		t.Fatalf("%v, version %x", err, state.Version)
	}
	if id, err := n2.Peer(state, Identity{ClusterID: testCluster}); err != nil || id != n1.Self() {
		t.Errorf("%v, %v", id, err)
	}
	if _, err := handshake(t, n1.ClientConfig(Identity{testCluster, "n3"}), n2.ServerConfig()); !errors.Is(err, ErrWrongNode) {
		t.Errorf("another node answers: %v", err)
	}
	old := n1.ClientConfig(toN2)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := handshake(t, old, n2.ServerConfig()); err == nil {
		t.Error("TLS 1.2 was taken")
	}
	// Without a certificate the handshake is done, and Peer says so.
	nobody, err := Open(t.TempDir(), at.now)
	if err != nil {
		t.Fatal(err)
	}
	anonymous := nobody.ClientConfig(toN2)
	anonymous.VerifyConnection = nil
	if state, err = handshake(t, anonymous, n2.ServerConfig()); err != nil {
		t.Fatal(err)
	}
	if _, err := n2.Peer(state, Identity{ClusterID: testCluster}); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := handshake(t, n1.ClientConfig(toN2), nobody.ServerConfig()); err == nil {
		t.Error("a server without a certificate")
	}
}

func TestTheCAsConstraintIsCritical(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, testCluster)
	critical := slices.ContainsFunc(a.cert.Extensions, func(e pkix.Extension) bool {
		return e.Critical && e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 30})
	})
	if !critical || a.ClusterID() != testCluster {
		t.Error("whoever doesn't know name constraints would accept any cluster's certificates")
	}
	for _, id := range []string{"", "a/b", "a b", "a?b"} {
		if _, err := NewAuthority(id, start); err == nil || !strings.Contains(err.Error(), "can't be a cluster's id") {
			t.Errorf("a CA of %q: %v", id, err)
		}
	}
	if _, err := a.Issue("", NodeLife, start); err == nil {
		t.Error("a certificate for nobody")
	}
	if n, err := a.Issue("n1", 2*caLife, start); err != nil || !n.NotAfter().Equal(a.cert.NotAfter) {
		t.Errorf("longer than the CA: %v", err)
	}
	if _, err := a.Issue("n1", NodeLife, start.Add(caLife)); !errors.Is(err, ErrNotValidNow) {
		t.Errorf("after the CA: %v", err)
	}
}
