package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pipesync/cluster/certs"
)

// A member answers nobody but nodes of its own cluster, and says why.
func TestWhoIsRefusedAtThePeerPort(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	another := func(clusterID string) *certs.Authority {
		ca, err := certs.NewAuthority(clusterID, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return ca
	}
	ours := m.cfg.Certs.Self().ClusterID
	nobody, err := certs.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		tls  *certs.Store
		err  error
		text string
	}{
		{"a node of the cluster", testCerts(t, testCA(), "n2"), nil, ""},
		{"plain text", nil, errWantsTLS, "--insecure"},
		{"a wrong CA at the other end", testCerts(t, another(ours), "n2"), certs.ErrUntrusted, "expected a signature of"},
		{"a wrong CA", testCerts(t, another(ours), "n2", testCA()), errBadCert, "expected a signature of"},
		{"another cluster", testCerts(t, another("cluster-b"), "n2", testCA()), errBadCert, "pipesync://cluster-b/node/n2"},
		{"a certificate that isn't the node's that is dialled", nobody, certs.ErrUntrusted, ""},
	} {
		for _, kind := range []connKind{kindRaft, kindHTTP} {
			conn, err := dialer{tcp: dialTCP, certs: c.tls}.dial(t.Context(), m.ports.peerAdvertise, preamble{Kind: kind, ClusterID: ours, NodeID: "n1"})
			if err == nil {
				_ = conn.Close()
			}
			if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v, want %v", c.name, err, c.err)
			}
		}
	}
}

// Whoever shows no certificate can only ask to join, and for a certificate with it.
func TestNobodyIsRefusedAtThePeerPort(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []preamble{{kindHTTP, m.Status().ClusterID, "n1"}, {kindRaft, m.Status().ClusterID, "n1"}} {
		conn, err := dialWithoutCertificate(t, m, p)
		if !errors.Is(err, errNoCertificate) || !strings.Contains(err.Error(), "expected one for a node of cluster") {
			t.Errorf("%+v: %v", p, err)
		}
		_ = conn.Close()
	}
	h := newHopClient(dialer{})
	t.Cleanup(h.close)
	h.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return dialWithoutCertificate(t, m, preamble{Kind: kindHTTP})
	}
	body := `{"node_id":"n2","peer_addr":"127.0.0.1:1","token":"` + testToken + `","cluster_version":0}`
	if _, err := h.send(m.ctx(), hopRequest{addr: m.ports.peerAdvertise, op: opJoin}, []byte(body)); !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "shows no certificate and asks for none") {
		t.Errorf("joining without a request: %v", err)
	}
	if _, err := h.send(m.ctx(), hopRequest{addr: m.ports.peerAdvertise, op: opInfo}, nil); class(t, err) != "not applied" || !strings.Contains(err.Error(), "can only join") {
		t.Errorf("anything else: %v", err)
	}
}

// A token with the fingerprint of the CA is all that a new node needs: it gets its
// certificate, and a voter the CA, so that it can let others in.
func TestATokenGetsANodeItsCertificate(t *testing.T) {
	t.Parallel()
	empty := func(c *Config) {
		store, err := certs.Open(filepath.Join(c.DataDir, "certs"), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		c.Certs = store
	}
	n1 := newMember(t, "n1", empty)
	if err := n1.Bootstrap(n1.ctx()); err != nil {
		t.Fatal(err)
	}
	pin := n1.Status().Certificate.CAs[0]
	token := testToken + "." + pin
	at := n1.ports.peerAdvertise

	n2 := newMember(t, "n2", empty)
	other, err := certs.NewAuthority(n1.Status().ClusterID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wrong := certs.Fingerprint(other.Certificate())
	if err := n2.Join(n2.ctx(), at, testToken+"."+wrong, false); !errors.Is(err, certs.ErrUntrusted) || !strings.Contains(err.Error(), "expected a CA with the SHA-256 "+wrong+", found [\""+pin+"\"]") {
		t.Errorf("another CA: %v", err)
	}
	if err := n2.Join(n2.ctx(), at, "guess."+pin, false); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("a wrong token: %v", err)
	}
	if s := n2.Status(); s.ClusterID != "" || s.Certificate != nil {
		t.Errorf("a refused joiner has %+v", s)
	}
	if err := n2.Join(n2.ctx(), at, token, false); err != nil {
		t.Fatal(err)
	}
	if self := n2.cfg.Certs.Self(); self != (certs.Identity{ClusterID: n1.Status().ClusterID, NodeID: "n2"}) {
		t.Errorf("its certificate is for %s", self)
	}

	// The new voter leads, and signs for the next, which is no voter.
	if err := n1.TransferLeadership(n1.ctx(), "n2"); err != nil {
		t.Fatal(err)
	}
	n3 := newMember(t, "n3", empty)
	if err := n3.Join(n3.ctx(), at, token, true); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{n1, n2} {
		if ca, err := certs.ReadAuthority(m.cfg.Certs.Dir()); err != nil || certs.Fingerprint(ca.Certificate()) != pin {
			t.Errorf("%s: %v", m.name(), err)
		}
	}
	if _, err := certs.ReadAuthority(n3.cfg.Certs.Dir()); !errors.Is(err, certs.ErrNoAuthority) {
		t.Errorf("one that doesn't vote has the CA: %v", err)
	}
	n3.mustPropose("from n3")
	renewsByAnother(t, n3)
	n3.cfg.Certs = nil
	empty(&n3.cfg)
	n3.restart(true)
	n3.mustPropose("after a restart")
	if got := n1.read(); !slices.Equal(got, []string{"from n3", "after a restart"}) {
		t.Errorf("entries: %q", got)
	}
	// A leader without the CA has another sign. Whoever doesn't vote can't.
	ca := filepath.Join(leaderOf(t, []*member{n1, n2}).cfg.Certs.Dir(), "ca.pem")
	kept, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(ca); err != nil {
		t.Fatal(err)
	}
	n5 := newMember(t, "n5", empty)
	if err := n5.Join(n5.ctx(), at, token, true); err != nil {
		t.Errorf("through a leader without the CA: %v", err)
	}
	core5, err := n5.running()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n5.haveCertified(n5.ctx(), core5, certifyRequest{Joiner: "n1"}); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("one that doesn't vote asks for another's certificate: %v", err)
	}
	if err := os.WriteFile(ca, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	// Where the CA isn't, nobody gets a certificate.
	for _, m := range []*member{n1, n2} {
		if err := os.Remove(filepath.Join(m.cfg.Certs.Dir(), "ca.pem")); err != nil {
			t.Fatal(err)
		}
	}
	n4 := newMember(t, "n4", empty)
	if err := n4.Join(n4.ctx(), at, token, false); !errors.Is(err, ErrNoCertificate) || !strings.Contains(err.Error(), "no member has the key of the cluster's CA") {
		t.Errorf("without the CA: %v", err)
	}
	if n1.Status().Voters != 2 {
		t.Error("a node without a certificate is a member")
	}
}

// A port without TLS tells both sides what is wrong.
func TestTLSMeetsPlainText(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1", func(c *Config) { c.Insecure = true })
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	d := dialer{tcp: dialTCP, certs: testCerts(t, testCA(), "n2")}
	if _, err := d.dial(t.Context(), m.ports.peerAdvertise, preamble{Kind: kindHTTP}); err == nil || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("the dialer: %v", err)
	}
	if _, _, err := readPreamble(strings.NewReader("\x16\x03\x01\x02\x00\x01")); !errors.Is(err, errPlainText) {
		t.Errorf("the listener: %v", err)
	}
}

// A founder without certificates makes them, and those that it signs can join, each
// under its own name alone.
func TestFoundingWithCertificates(t *testing.T) {
	dir := t.TempDir()
	store := func(dir string) *certs.Store {
		s, err := certs.Open(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	founder := newMember(t, "n1", patient, func(c *Config) { c.Certs = store(dir) })
	if s := founder.Status(); s.Certificate != nil || s.Insecure {
		t.Errorf("before: %+v", s)
	}
	founder.bootstrap()
	ca, err := certs.ReadAuthority(dir)
	if err != nil || ca.ClusterID() != founder.Status().ClusterID {
		t.Fatalf("%v; the cluster is %s", err, founder.Status().ClusterID)
	}
	at := founder.ports.peerAdvertise
	without := newMember(t, "n2", patient, func(c *Config) { c.Certs = store(t.TempDir()) })
	if err := without.Join(without.ctx(), at, testToken, false); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("without a certificate: %v", err)
	}
	// A certificate put there while the node runs is found.
	cert, err := ca.Issue("n2", certs.NodeLife, time.Now())
	if err == nil {
		err = certs.WriteNode(without.cfg.Certs.Dir(), cert, []*x509.Certificate{ca.Certificate()})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := without.Join(without.ctx(), at, testToken, false); err != nil {
		t.Fatal(err)
	}
	// The name in a join is the certificate's.
	n3 := newMember(t, "n3", func(c *Config) { c.Certs = testCerts(t, ca, "n3") })
	body := `{"node_id":"n4","peer_addr":"127.0.0.1:1","token":"` + testToken + `","cluster_version":0}`
	if _, err := n3.hop.send(n3.ctx(), hopRequest{addr: at, op: opJoin}, []byte(body)); !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "node n4 wants to join with the certificate of n3") {
		t.Errorf("under another name: %v", err)
	}
	without.cfg.Certs = store(dir)
	without.stop()
	if _, err := without.open(); !errors.Is(err, certs.ErrWrongNode) {
		t.Errorf("started with another's certificate: %v", err)
	}
	without.cfg.Certs = store(t.TempDir())
	if _, err := without.open(); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("a member started without one: %v", err)
	}
	without.cfg.Certs = testCerts(t, testCA(), "n2")
	if _, err := without.open(); !errors.Is(err, certs.ErrWrongCluster) {
		t.Errorf("started with another cluster's: %v", err)
	}
	without.cfg.Certs = testCerts(t, ca, "n2")
	without.gate = &testGate{}
	without.start()
}

// A new CA comes in beside the old one, and members take new certificates while
// they serve; the old CA goes when nobody needs it.
func TestCertificatesAreReplacedWhileMembersServe(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	next, err := certs.NewAuthority(testCA().ClusterID(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	put := func(m *member, by *certs.Authority, trust ...*x509.Certificate) {
		t.Helper()
		cert, err := by.Issue(m.name(), certs.NodeLife, time.Now())
		if err == nil {
			err = certs.WriteNode(m.cfg.Certs.Dir(), cert, trust)
		}
		if err != nil {
			t.Fatal(err)
		}
		if changed, err := m.cfg.Certs.Reload(); !changed || err != nil {
			t.Fatalf("%s: %t, %v", m.name(), changed, err)
		}
	}
	reconnect := func() {
		for _, m := range all {
			m.links.sever("")
			m.links.heal()
		}
	}
	old, fresh := testCA().Certificate(), next.Certificate()
	var want []string
	for _, step := range []func(*member){
		func(m *member) { put(m, testCA(), old, fresh) },
		func(m *member) { put(m, next, old, fresh) },
		func(m *member) { put(m, next, fresh) },
	} {
		for _, m := range all {
			step(m)
			reconnect()
			want = append(want, m.name())
			m.mustPropose(m.name())
		}
	}
	for _, m := range all {
		if got := m.read(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", m.name(), got)
		}
	}
	late := dialer{tcp: dialTCP, certs: testCerts(t, testCA(), "n2")}
	if _, err := late.dial(t.Context(), all[0].ports.peerAdvertise, preamble{Kind: kindHTTP}); !errors.Is(err, certs.ErrUntrusted) {
		t.Errorf("the old CA: %v", err)
	}
}

// Who isn't trusted any more is not heard any more, on open connections neither.
func TestAConnectionEndsWithTheTrust(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	next, err := certs.NewAuthority(testCA().ClusterID(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ca *certs.Authority) net.Conn {
		d := dialer{tcp: dialTCP, certs: testCerts(t, ca, "n2", testCA(), next)}
		conn, err := d.dial(t.Context(), m.ports.peerAdvertise, preamble{kindHTTP, m.Status().ClusterID, "n1"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	trust := func(cas ...*certs.Authority) {
		cert, err := next.Issue("n1", certs.NodeLife, time.Now())
		if err == nil {
			err = certs.WriteNode(m.cfg.Certs.Dir(), cert, certificatesOf(cas))
		}
		if err == nil {
			_, err = m.cfg.Certs.Reload()
		}
		if err != nil {
			t.Fatal(err)
		}
		m.noteCertificates(nil)
	}
	ends := func(conn net.Conn, within time.Duration) bool {
		if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		_, err := conn.Read(make([]byte, 1))
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
	trust(testCA(), next)
	old, fresh := dial(testCA()), dial(next)
	trust(next)
	if !ends(old, awaitTime) {
		t.Error("the old CA's node is still heard")
	}
	if ends(fresh, 50*time.Millisecond) {
		t.Error("the new CA's node is not heard any more")
	}
}

// A peer that says nothing holds no connection for long, in TLS neither.
func TestASilentHandshakeEnds(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	conn, err := net.Dial("tcp", m.ports.peerAdvertise)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(awaitTime)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("it waits on: %v", err)
	}
}

// renewsByAnother has a member without the CA get a new certificate.
func renewsByAnother(t *testing.T, m *member) {
	t.Helper()
	c, err := m.running()
	if err != nil {
		t.Fatal(err)
	}
	read := func() string {
		text, err := os.ReadFile(filepath.Join(m.cfg.Certs.Dir(), "node.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before, self := read(), m.cfg.Certs.Self()
	if err := m.renewCertificate(m.ctx(), c); err != nil {
		t.Fatal(err)
	}
	if m.cfg.Certs.Self() != self || m.cfg.Certs.Status().Problem != nil || read() == before {
		t.Errorf("%+v for %s", m.cfg.Certs.Status(), m.cfg.Certs.Self())
	}
}

// The certificate of a node that isn't a member, any more or yet, lets it ask whether it
// is one, and nothing else.
func TestACertificateIsNoMembership(t *testing.T) {
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	h := newHopClient(dialer{tcp: dialTCP, certs: testCerts(t, testCA(), "n9")})
	t.Cleanup(h.close)
	s := leader.Status()
	ask := func(op opName, body string) error {
		_, err := h.send(leader.ctx(), hopRequest{addr: leader.ports.peerAdvertise, op: op, term: s.Term, clusterID: s.ClusterID, nodeID: s.NodeID}, []byte(body))
		return err
	}
	for op, body := range map[opName]string{opPropose: "x", opReadIndex: "", opRemove: `{"node_id":"n2"}`, opTransfer: `{"node_id":""}`, opCertify: `{"certificate_request":""}`} {
		if err := ask(op, body); class(t, err) != "not applied" || !errors.Is(err, errNotMember) || !strings.Contains(err.Error(), "n9") {
			t.Errorf("%s: %v", op, err)
		}
	}
	if err := ask(opMembership, `{"node_id":"n9"}`); err != nil {
		t.Errorf("whether it is a member: %v", err)
	}
	if got := leader.read(); len(got) != 0 {
		t.Errorf("entries: %q", got)
	}
}

// dialWithoutCertificate is what a client does that verifies m and shows nothing.
func dialWithoutCertificate(t *testing.T, m *member, p preamble) (net.Conn, error) {
	t.Helper()
	config := testCerts(t, testCA(), "n2").ClientConfig(m.cfg.Certs.Self())
	config.GetClientCertificate = nil
	conn, err := tls.Dial("tcp", m.ports.peerAdvertise, config)
	if err != nil {
		t.Fatal(err)
	}
	return conn, greetPeer(conn, p)
}
