package cluster

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"pipesync/cluster/certs"
	"pipesync/internal/testcluster"
)

// memberlist's Shutdown doesn't wait for the probe that is under way, which ends
// with its timeout.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

// awaitTime bounds every wait of a test; none is expected to take it.
const awaitTime = 60 * time.Second

var testGossipKey = bytes.Repeat([]byte{7}, 32)

// member is one node of a test with all that outlives its restarts.
type member struct {
	*Node
	t     *testing.T
	cfg   Config
	sm    *bytelog
	gate  *testGate
	links *links
}

type testLog struct {
	mu   sync.Mutex
	t    *testing.T
	name string
	done bool
}

func (w *testLog) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done {
		w.t.Logf("%s %s", w.name, bytes.TrimSpace(p))
	}
	return len(p), nil
}

// testCA is the CA of the clusters of all tests, which have the same id thus.
var testCA = sync.OnceValue(func() *certs.Authority {
	ca, err := certs.NewAuthority("cluster-of-tests", time.Now())
	if err != nil {
		panic(err)
	}
	return ca
})

// testCerts are those of a node, signed by ca, which it trusts, and the others too.
func testCerts(t *testing.T, ca *certs.Authority, node string, others ...*certs.Authority) *certs.Store {
	t.Helper()
	dir := t.TempDir()
	cert, err := ca.Issue(node, certs.NodeLife, time.Now())
	if err == nil {
		err = certs.WriteNode(dir, cert, certificatesOf(append(others, ca)))
	}
	if err != nil {
		t.Fatal(err)
	}
	store, err := certs.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func certificatesOf(cas []*certs.Authority) (list []*x509.Certificate) {
	for _, ca := range cas {
		list = append(list, ca.Certificate())
	}
	return list
}

func testConfig(t *testing.T, name string) Config {
	log := &testLog{t: t, name: name}
	t.Cleanup(func() {
		log.mu.Lock()
		defer log.mu.Unlock()
		log.done = true
	})
	level := slog.LevelError + 1
	if os.Getenv("CLUSTER_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	// A node that comes back finds its ports free.
	addrs, err := testcluster.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		NodeID: name, DataDir: t.TempDir(), PeerBind: addrs[0], GossipBind: addrs[1],
		HTTPAdvertise: name + ".example:8800", GossipKey: testGossipKey, Version: "v-test",
		Logger:           slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})),
		HeartbeatTimeout: impatientTimeout, ElectionTimeout: impatientTimeout,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	}
}

func newMember(t *testing.T, name string, change ...func(*Config)) *member {
	t.Helper()
	m := &member{t: t, cfg: testConfig(t, name), sm: newBytelog(), gate: &testGate{}, links: newLinks()}
	m.cfg.Simulation.Dial = m.links.dial
	for _, f := range change {
		f(&m.cfg)
	}
	if m.cfg.Certs == nil && !m.cfg.Insecure {
		m.cfg.Certs = testCerts(t, testCA(), m.cfg.NodeID)
	}
	m.start()
	t.Cleanup(m.end)
	return m
}

func (m *member) start() {
	m.t.Helper()
	n, err := m.open()
	if err != nil {
		m.t.Fatalf("opening %s: %v", m.cfg.NodeID, err)
	}
	m.Node = n
}

func (m *member) open() (*Node, error) {
	m.t.Helper()
	m.sm.snapshots = m.snapshots()
	return Open(m.cfg, m.sm, m.gate)
}

// stateDir is where the state machine keeps what is its own.
func (m *member) stateDir() string { return filepath.Join(m.cfg.DataDir, "state") }

func (m *member) snapshots() raft.SnapshotStore {
	m.t.Helper()
	store, err := raft.NewFileSnapshotStoreWithLogger(m.stateDir(), 2, newRaftLogger(m.cfg.Logger))
	if err != nil {
		m.t.Fatal(err)
	}
	return store
}

func (m *member) stop() {
	m.t.Helper()
	m.stopBy(m.ctx())
}

// end is stop without patience: at the end of a test nobody goes on whom it would
// spare an election to hand leadership over.
func (m *member) end() {
	m.t.Helper()
	now, cancel := context.WithCancel(m.ctx())
	cancel()
	m.stopBy(now)
}

func (m *member) stopBy(ctx context.Context) {
	m.t.Helper()
	if err := m.Shutdown(ctx); err != nil {
		m.t.Errorf("stopping %s: %v", m.cfg.NodeID, err)
	}
	if _, bad := m.gate.state(); len(bad) > 0 {
		m.t.Errorf("%s: the gate's contract was broken: %v", m.cfg.NodeID, bad)
	}
}

// restart stops the node and opens it again. A fresh state machine has to be
// brought back from the log and snapshots; else it is one that kept its state.
func (m *member) restart(fresh bool) {
	m.t.Helper()
	m.stop()
	m.gate = &testGate{} // another process has another gate
	if fresh {
		m.sm = newBytelog()
	}
	m.start()
}

func (m *member) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), awaitTime)
	m.t.Cleanup(cancel)
	return ctx
}

func (m *member) name() string { return m.cfg.NodeID }

// mustPropose returns when body is in the log. Where leadership was lost meanwhile,
// so that the outcome is unknown, it looks, and proposes again what isn't there.
func (m *member) mustPropose(body string) {
	m.t.Helper()
	for {
		term := m.Status().Term
		_, err := m.Propose(m.ctx(), []byte(body))
		if err == nil {
			return
		}
		if class(m.t, err) != "unknown" {
			m.t.Fatalf("proposing through %s: %v", m.name(), err)
		}
		if slices.Contains(m.read(), body) {
			return
		}
		if m.Status().Term == term {
			m.t.Fatalf("proposing through %s, all in term %d: %v", m.name(), term, err)
		}
	}
}

// read is a linearizable read of all entries.
func (m *member) read() []string {
	m.t.Helper()
	index, err := m.ReadIndex(m.ctx())
	if err == nil {
		err = m.sm.WaitApplied(m.ctx(), index)
	}
	if err != nil {
		m.t.Fatalf("reading through %s: %v", m.name(), err)
	}
	return m.sm.bodies()
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(awaitTime)
	defer deadline.Stop()
	for tick := time.NewTicker(5 * time.Millisecond); !holds(); {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// patient nodes keep their leader also where a busy machine lets none of them run
// for a while.
func patient(c *Config) { c.HeartbeatTimeout, c.ElectionTimeout = 4*time.Second, 4*time.Second }

// impatient nodes soon have another leader when theirs is gone, and now and then
// when it isn't.
func impatient(c *Config) {
	c.HeartbeatTimeout, c.ElectionTimeout = impatientTimeout, impatientTimeout
}

const impatientTimeout = 500 * time.Millisecond

// bootstrap has the node found a cluster, without awaiting that its first election
// is due.
func (m *member) bootstrap() {
	m.t.Helper()
	founded := make(chan error, 1)
	go func() { founded <- m.Bootstrap(m.ctx()) }()
	eventually(m.t, "Raft to run", func() bool {
		c, err := m.running()
		if err == nil {
			c.campaign()
		}
		return err == nil
	})
	if err := <-founded; err != nil {
		m.t.Fatal(err)
	}
}

// campaign has the node stand for election at once, as one does that leadership is
// handed to.
func (c *core) campaign() {
	c.backlog.to <- raft.RPC{
		Command:  &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}},
		RespChan: make(chan raft.RPCResponse, 1),
	}
}

// newCluster bootstraps the first node and joins the others to it. They are patient,
// so that the test knows who leads; one that has leaders die has them impatient.
func newCluster(t *testing.T, size int, change ...func(*Config)) []*member {
	t.Helper()
	var all []*member
	for i := range size {
		all = append(all, newMember(t, fmt.Sprintf("n%d", i+1), append([]func(*Config){patient}, change...)...))
	}
	all[0].bootstrap()
	for _, m := range all[1:] {
		if err := m.Join(m.ctx(), all[0].ports.peerAdvertise, testToken, false); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// leaderOf waits until all agree on one leader.
func leaderOf(t *testing.T, all []*member) *member {
	t.Helper()
	var leader *member
	eventually(t, "one leader", func() bool {
		leader = nil
		id := all[0].Status().LeaderID
		for _, m := range all {
			s := m.Status()
			if s.LeaderID != id || s.LeaderID == "" {
				return false
			}
			if s.Role == RoleLeader {
				leader = m
			}
		}
		return leader != nil && leader.name() == id
	})
	return leader
}

func without(all []*member, gone *member) []*member {
	return slices.DeleteFunc(slices.Clone(all), func(m *member) bool { return m == gone })
}

func followerOf(all []*member, leader *member) *member { return without(all, leader)[0] }
