package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Bootstrap and wiped logs: a directory is never taken for what it is not.
func TestDirectoryChecks(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.stop()
	open := func() error {
		m.sm, m.gate = newBytelog(), &testGate{}
		n, err := m.open()
		if err == nil {
			err = errors.Join(errors.New("opened"), n.Shutdown(context.Background()))
		}
		return err
	}
	cfg := m.cfg
	m.cfg.NodeID = "n2"
	if err := open(); err == nil || !strings.Contains(err.Error(), `belongs to node "n1"`) {
		t.Errorf("another node's directory: %v", err)
	}
	m.cfg = cfg

	identity := filepath.Join(m.cfg.DataDir, "identity.json")
	raw, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(identity); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("identity.json: %v, %v", info.Mode(), err)
	}
	for name, content := range map[string]string{
		"no json":         "{",
		"a later format":  strings.Replace(string(raw), `"format": 1`, `"format": 2`, 1),
		"a bad id":        strings.Replace(string(raw), `"n1"`, `"n 1"`, 1),
		"without a file.": "",
	} {
		if err := os.WriteFile(identity, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if content == "" {
			_ = os.Remove(identity)
		}
		if err := open(); err == nil || !strings.Contains(err.Error(), "reading identity") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(identity, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(m.cfg.DataDir, "raft")); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "its log is empty") {
		t.Errorf("a wiped log: %v", err)
	}
}

func TestBootstrapIsResumed(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	m.stop()
	// As if the process had died after it had written its identity.
	id := identity{Format: identityFormat, NodeID: "n1", ClusterID: m.cfg.Certs.Self().ClusterID, Founder: true, Pending: pendingBootstrap}
	if err := id.save(m.cfg.DataDir); err != nil {
		t.Fatal(err)
	}
	m.gate = &testGate{}
	m.start()
	m.mustPropose("a")
	m.restart(true)
	if got := m.read(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("read %q", got)
	}
}

// As if the process had died between the two writes of raft's own bootstrap:
// the term is there, the first entry isn't.
func TestHalfABootstrapIsResumed(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	m.stop()
	id := identity{Format: identityFormat, NodeID: "n1", ClusterID: m.cfg.Certs.Self().ClusterID, Founder: true, Pending: pendingBootstrap}
	if err := id.save(m.cfg.DataDir); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(m.cfg.DataDir, "raft")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := openBolt(dir)
	if err != nil {
		t.Fatal(err)
	}
	store := newLogStore(file, m.cfg.Fatal, func() (uint64, error) { return 0, nil })
	if err := errors.Join(store.variables.SetUint64([]byte("CurrentTerm"), 1), store.file.Close()); err != nil {
		t.Fatal(err)
	}
	m.gate = &testGate{}
	m.start()
	m.mustPropose("a")
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"a short key":                {func(c *Config) { c.GossipKey = []byte("short") }, "gossip key has 5 bytes"},
		"plain text":                 {func(c *Config) { c.Certs = nil }, "the peer port would speak plain text"},
		"another node's certificate": {func(c *Config) { c.Certs = testCerts(t, testCA(), "n2") }, "expected node n1, found n2"},
		"no address to tell":         {func(c *Config) { c.PeerBind = "0.0.0.0:0" }, "an advertised address is required"},
		"a bad address":              {func(c *Config) { c.PeerBind = "127.0.0.1" }, "missing port"},
		"a bad id":                   {func(c *Config) { c.NodeID = "a/b" }, "only letters, digits"},
		"an impatient election time": {func(c *Config) { c.ElectionTimeout = c.HeartbeatTimeout / 2 }, "is shorter than"},
	} {
		cfg := testConfig(t, "n1")
		cfg.Certs = testCerts(t, testCA(), "n1")
		c.change(&cfg)
		n, err := Open(cfg, newBytelog(), &testGate{})
		if err == nil {
			_ = n.Shutdown(t.Context())
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := newMember(t, "n1", func(c *Config) {
		c.PeerBind, c.PeerAdvertise = "0.0.0.0:0", "127.0.0.1:1"
	})
	if s := m.Status(); s.Insecure || s.Certificate == nil || s.Certificate.Problem != nil {
		t.Errorf("with a certificate: %+v", s)
	}
	m = newMember(t, "n1", func(c *Config) { c.Insecure = true })
	if s := m.Status(); !s.Insecure || s.Certificate != nil {
		t.Errorf("the status hides plain text: %+v", s)
	}
}
