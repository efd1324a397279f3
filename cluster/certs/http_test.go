package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// httpPort is a store of the files that a issues, by which administrators of clients
// get in.
func httpPort(t *testing.T, a *Authority, at *clock, clients ...*Authority) (*HTTPStore, HTTPFiles) {
	t.Helper()
	w, err := a.WriteHTTP(t.TempDir(), []string{"localhost", "127.0.0.1"}, []*x509.Certificate{a.cert}, HTTPLife, start)
	if err != nil {
		t.Fatal(err)
	}
	files := HTTPFiles{Cert: w.Cert, Key: w.Key}
	if len(clients) > 0 {
		files.ClientCA = filepath.Join(t.TempDir(), "clients.pem")
		trustIn(t, files.ClientCA, clients...)
	}
	s, err := OpenHTTP(files, at.now)
	if err != nil {
		t.Fatal(err)
	}
	return s, files
}

func trustIn(t *testing.T, path string, clients ...*Authority) {
	t.Helper()
	var cas []*x509.Certificate
	for _, c := range clients {
		cas = append(cas, c.cert)
	}
	if err := write(filepath.Dir(path), filepath.Base(path), encodeCerts(cas...)); err != nil {
		t.Fatal(err)
	}
}

func administrator(t *testing.T, a *Authority, name string) tls.Certificate {
	t.Helper()
	w, err := a.WriteAdministrator(t.TempDir(), name, []*x509.Certificate{a.cert}, NodeLife, start)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(w.Cert, w.Key)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(w.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	return pair
}

// clientOf verifies as clients of HTTP servers do, by the server's name.
func clientOf(a *Authority, at *clock) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", Time: at.now}
}

func TestAnHTTPPortIsKnownByItsHosts(t *testing.T) {
	t.Parallel()
	ours, at := newAuthority(t, testCluster), &clock{at: start}
	s, _ := httpPort(t, ours, at)
	for name, ok := range map[string]bool{"localhost": true, "127.0.0.1": true, "example.com": false} {
		client := clientOf(ours, at)
		client.ServerName = name
		if _, err := handshake(t, client, s.ServerConfig()); (err == nil) != ok {
			t.Errorf("as %s: %v", name, err)
		}
	}
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		client := clientOf(ours, at)
		client.MinVersion, client.MaxVersion = tls.VersionTLS10, version
		if state, err := handshake(t, client, s.ServerConfig()); (err == nil) != ok || ok && state.Version != version {
			t.Errorf("version %x: %v", version, err)
		}
	}
	if _, err := ours.WriteHTTP(t.TempDir(), nil, nil, HTTPLife, start); err == nil {
		t.Error("a certificate for no host")
	}
}

func TestHostsOfAnHTTPPort(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, testCluster)
	for host, reached := range map[string]string{ // by which host who has one for which; none: refused
		"10.0.0.1": "10.0.0.1", "2001:db8::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1", "n1.example.com": "n1.example.com", "*.example.com": "n1.example.com",
		"10.0.0.1:8800": "", "[2001:db8::1]:8800": "", "https://n1.example.com": "", "": "",
	} {
		w, err := a.WriteHTTP(t.TempDir(), []string{host}, []*x509.Certificate{a.cert}, HTTPLife, start)
		if reached == "" {
			if err == nil {
				t.Errorf("%q is taken", host)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", host, err)
			continue
		}
		pair, err := tls.LoadX509KeyPair(w.Cert, w.Key)
		if err == nil {
			err = pair.Leaf.VerifyHostname(reached)
		}
		if err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
}

// Files are taken together if they are right, and else the port goes on.
func TestAnHTTPPortsFilesAreReplaced(t *testing.T) {
	t.Parallel()
	ours, next := newAuthority(t, testCluster), newAuthority(t, testCluster)
	at := &clock{at: start}
	s, files := httpPort(t, ours, at, ours)
	config := s.ServerConfig()
	dial := func(a *Authority) error {
		_, err := handshake(t, clientOf(a, at), config)
		return err
	}
	put := func(a *Authority, life time.Duration) (certText, keyText []byte) {
		t.Helper()
		w, err := a.WriteHTTP(t.TempDir(), []string{"localhost"}, nil, life, at.now())
		if err != nil {
			t.Fatal(err)
		}
		return read(t, w.Cert), read(t, w.Key)
	}
	if changed, err := s.Reload(); changed || err != nil {
		t.Fatalf("nothing has changed: %t, %v", changed, err)
	}
	freshCert, freshKey := put(next, HTTPLife)
	expiredCert, expiredKey := put(next, -time.Second+time.Minute)
	nodeCert, nodeKey := forHTTPOf(t, forged(t, ours, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))
	at.set(start.Add(time.Hour))
	for _, c := range []struct {
		name, text string
		cert, key  []byte
		mode       os.FileMode
		ca         []byte
	}{
		{"the key of another", "private key does not match public key", read(t, files.Cert), freshKey, 0o600, nil},
		{"no certificate", "failed to find any PEM data", []byte("nothing"), freshKey, 0o600, nil},
		{"a key that all may read", "its mode is 0644", freshCert, freshKey, 0o644, nil},
		{"expired, where that in force isn't", "not valid now", expiredCert, expiredKey, 0o600, nil},
		{"for clients", "is for other uses than a server's", nodeCert, nodeKey, 0o600, nil},
		{"no CA for administrators", "it holds no certificate", freshCert, freshKey, 0o600, []byte("nothing")},
	} {
		putFile(t, files.Cert, c.cert, 0o644)
		putFile(t, files.Key, c.key, c.mode)
		if c.ca != nil {
			putFile(t, files.ClientCA, c.ca, 0o644)
		}
		changed, err := s.Reload()
		if !changed || err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), filepath.Dir(files.Cert)) && c.ca == nil {
			t.Errorf("%s: %t, %v", c.name, changed, err)
		}
		if st := s.Status(); st.Problem == nil || !strings.Contains(st.Problem.Error(), c.text) {
			t.Errorf("%s: status %+v", c.name, st)
		}
		if err := dial(ours); err != nil {
			t.Errorf("%s: it doesn't go on: %v", c.name, err)
		}
		if changed, err := s.Reload(); changed || err != nil {
			t.Errorf("%s, told again: %t, %v", c.name, changed, err)
		}
	}
	putFile(t, files.Cert, freshCert, 0o644)
	putFile(t, files.Key, freshKey, 0o640) // as a group of servers' keys has it
	trustIn(t, files.ClientCA, ours, next)
	if changed, err := s.Reload(); !changed || err != nil {
		t.Fatalf("%t, %v", changed, err)
	}
	if err := dial(next); err != nil {
		t.Error(err)
	}
	cas := []string{Fingerprint(ours.cert), Fingerprint(next.cert)}
	if st := s.Status(); st.Problem != nil || st.Late || !st.NotAfter.Equal(start.Add(HTTPLife)) || !slices.Equal(st.CAs, cas) {
		t.Errorf("status %+v", st)
	}
	at.set(start.Add(HTTPLife - HTTPLife/7))
	if st := s.Status(); !st.Late || st.Problem != nil {
		t.Errorf("late: %+v", st)
	}
	at.set(start.Add(HTTPLife + time.Hour))
	if st := s.Status(); !errors.Is(st.Problem, ErrNotValidNow) {
		t.Errorf("expired: %+v", st)
	}
	// A node starts with what has expired: its alarm can be seen then.
	if _, err := OpenHTTP(files, at.now); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func putFile(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.Remove(path), os.WriteFile(path, text, mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// forHTTPOf is certificate and key of n, apart.
func forHTTPOf(t *testing.T, n *Node) (certText, keyText []byte) {
	t.Helper()
	text, err := encodePair(n.cert, n.key)
	if err != nil {
		t.Fatal(err)
	}
	return text, text
}

func TestWhoIsAnAdministrator(t *testing.T) {
	t.Parallel()
	ours, other, outside := newAuthority(t, testCluster), newAuthority(t, testCluster), unbound(t)
	at := &clock{at: start}
	s, files := httpPort(t, ours, at, ours, outside)
	without, _ := httpPort(t, ours, at)
	admin := func(uris ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.URIs, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			for _, u := range uris {
				c.URIs = append(c.URIs, uri(t, u))
			}
		}
	}
	own := administrator(t, ours, "alice").Leaf
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		want string
		err  error
		text string
	}{
		{name: "ours", cert: own, want: "alice"},
		{name: "of an outside CA", cert: forged(t, outside, admin("pipesync://cluster-a/admin/bob", "spiffe://x/y")).cert, want: "bob"},
		{name: "of a CA that isn't trusted", cert: administrator(t, other, "alice").Leaf, err: ErrUntrusted, text: "administrator alice: for administrators expected a signature of"},
		{name: "a node's", cert: issue(t, ours, "n1").cert, err: ErrNoIdentity, text: "expected pipesync://CLUSTER_ID/admin/NAME"},
		{name: "without a name", cert: forged(t, outside, admin("pipesync://cluster-a/admin/")).cert, err: ErrNoIdentity},
		{name: "without a URI", cert: forged(t, outside, admin()).cert, err: ErrNoIdentity},
		{name: "of two", cert: forged(t, outside, admin("pipesync://cluster-a/admin/bob", "pipesync://cluster-a/admin/eve")).cert, err: ErrNoIdentity},
		{name: "another cluster's", cert: forged(t, outside, admin("pipesync://cluster-b/admin/bob")).cert, err: ErrWrongCluster, text: "expected cluster cluster-a, found cluster-b"},
		{name: "a server's", cert: forged(t, outside, func(c *x509.Certificate) {
			c.URIs, c.ExtKeyUsage = []*url.URL{uri(t, "pipesync://cluster-a/admin/bob")}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}).cert, err: ErrUntrusted},
		{name: "expired", cert: forged(t, outside, func(c *x509.Certificate) {
			admin("pipesync://cluster-a/admin/bob")(c)
			c.NotAfter = start.Add(-time.Minute)
		}).cert, err: ErrNotValidNow},
	} {
		name, err := s.Administrator([]*x509.Certificate{c.cert}, testCluster)
		if name != c.want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %q, %v", c.name, name, err)
		}
		if _, err := without.Administrator([]*x509.Certificate{c.cert}, testCluster); !errors.Is(err, ErrNoCertificate) {
			t.Errorf("%s, where no CA is for administrators: %v", c.name, err)
		}
	}
	if name, err := s.Administrator([]*x509.Certificate{own}, ""); name != "alice" || err != nil {
		t.Errorf("before the node has a cluster: %q, %v", name, err)
	}
	if _, err := s.Administrator(nil, testCluster); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("nobody: %v", err)
	}
	// An administrator's certificate makes no node of its owner.
	if _, err := newTrust([]*x509.Certificate{ours.cert}).verify([]*x509.Certificate{own}, Identity{}, x509.ExtKeyUsageClientAuth, start); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("as a node: %v", err)
	}
	// Who is connected is nobody any more once its CA isn't trusted.
	trustIn(t, files.ClientCA, outside)
	if changed, err := s.Reload(); !changed || err != nil {
		t.Fatalf("%t, %v", changed, err)
	}
	if _, err := s.Administrator([]*x509.Certificate{own}, testCluster); !errors.Is(err, ErrUntrusted) {
		t.Errorf("after its CA has gone: %v", err)
	}
	if _, err := ours.WriteAdministrator(t.TempDir(), "", nil, NodeLife, start); err == nil {
		t.Error("an administrator without a name")
	}
}

// Clients show certificates where that makes sense, and finish the handshake whatever
// they show.
func TestClientsOfAnHTTPPortShowCertificates(t *testing.T) {
	t.Parallel()
	ours, other, at := newAuthority(t, testCluster), newAuthority(t, "cluster-b"), &clock{at: start}
	s, _ := httpPort(t, ours, at, ours)
	without, _ := httpPort(t, ours, at)
	for _, c := range []struct {
		name  string
		port  *HTTPStore
		by    *Authority
		shown int
	}{
		{"asked for", s, ours, 1},
		{"not asked for", without, ours, 0},
		{"of a CA that isn't asked for", s, other, 1},
	} {
		client, pair := clientOf(ours, at), administrator(t, c.by, "alice")
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		state, err := handshake(t, client, c.port.ServerConfig())
		if err != nil || len(state.PeerCertificates) != c.shown {
			t.Errorf("%s: %d certificates, %v", c.name, len(state.PeerCertificates), err)
		}
	}
}
