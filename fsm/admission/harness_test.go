package admission

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/fsm"
	"pipesync/storage"
)

const (
	testLimit  = 100
	testWindow = 60_060 * time.Millisecond
	testOrg    = "org_a"
	testStore  = "vs_a"
	testKeys   = 25
	adminToken = "the admin token"
)

// fakeClock is a clock that tests move.
type fakeClock struct {
	mu   sync.Mutex
	mono time.Duration
	wall time.Time
}

func newClock(mono time.Duration) *fakeClock {
	return &fakeClock{mono: mono, wall: time.Unix(1_700_000_000, 0)}
}

func (c *fakeClock) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

func (c *fakeClock) Wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mono += d
	c.wall = c.wall.Add(d)
}

// node is one process: a real state machine in a directory, its clock and its gate.
type node struct {
	dir   string
	clock *fakeClock
	fsm   *fsm.FSM
	gate  *Gate
}

func (n *node) start(t *testing.T) {
	t.Helper()
	var gate *Gate
	machine, err := fsm.Open(fsm.Options{
		Dir:     n.dir,
		Fatal:   func(err error) { panic(err) },
		Observe: func(index uint64, clusterTime int64) { gate.Observe(index, clusterTime) },
	})
	if err != nil {
		t.Fatal(err)
	}
	n.fsm = machine
	gate = New(machine, n.clock)
	n.gate = gate
}

func (n *node) stop(t *testing.T) {
	t.Helper()
	if err := n.fsm.Close(); err != nil {
		t.Error(err)
	}
}

func (n *node) system(t *testing.T) storage.System {
	t.Helper()
	view, err := n.fsm.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	return view.System()
}

// group is a set of nodes with one log, of which every entry is committed at once.
type group struct {
	nodes []*node
	mu    sync.Mutex
	term  uint64
	index uint64
}

// newGroup starts n nodes, bootstraps them, and has the first lead term 1. Each clock
// begins somewhere else.
func newGroup(t *testing.T, n int) *group {
	t.Helper()
	g := &group{}
	for i := range n {
		node := &node{dir: t.TempDir(), clock: newClock(time.Duration(1+7*i) * time.Hour)}
		node.start(t)
		t.Cleanup(func() { node.stop(t) })
		g.nodes = append(g.nodes, node)
	}
	leader := g.lead(0)
	commands := []fsm.Command{
		&fsm.Bootstrap{
			RequestID: fsm.RequestID{1}, ClusterID: "cluster", Epoch: storage.Epoch{1},
			Settings: storage.Settings{
				Limits:             storage.Limits{RequestsPerWindow: testLimit},
				WindowMillis:       uint32(testWindow.Milliseconds()),
				AdminTokenHash:     sha256.Sum256([]byte(adminToken)),
				IdempotencyKeysMax: 10, HistorySyncsMax: 1000,
			},
		},
	}
	for i := range testKeys {
		commands = append(commands, &fsm.KeyCreate{
			RequestID: fsm.RequestID{2, byte(i)}, KeyID: testKey(i * refusalsPerMinute), Org: testOrg, Name: "a", DefaultStore: testStore,
		})
	}
	for _, command := range commands {
		if got := decode(t, g.propose(t, leader, encode(t, command))); got.Outcome != fsm.OK {
			t.Fatalf("%T: outcome %d", command, got.Outcome)
		}
	}
	return g
}

// lead begins the next term with node i as its leader.
func (g *group) lead(i int) *node {
	g.mu.Lock()
	g.term++
	term := g.term
	g.mu.Unlock()
	g.nodes[i].gate.LeaderReady(term)
	return g.nodes[i]
}

// propose takes body past the leader's gate and through the log.
func (g *group) propose(t *testing.T, leader *node, body []byte) []byte {
	t.Helper()
	reply, release, err := leader.gate.Admit(t.Context(), g.term, body)
	if err != nil {
		t.Fatal(err)
	}
	if reply != nil {
		return reply
	}
	reply = g.commit(t, leader, body)
	release(reply)
	return reply
}

// commit stamps body, appends it and applies it on every node.
func (g *group) commit(t testing.TB, leader *node, body []byte) []byte {
	t.Helper()
	reply, ok := g.apply(leader, body, leader.gate.Stamp(g.term, body)).([]byte)
	if !ok || reply == nil {
		t.Error("an entry has no reply")
	}
	return reply
}

// apply appends an entry and applies it on every node; it returns the leader's response.
func (g *group) apply(leader *node, body, stamp []byte) (response any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.index++
	for _, n := range g.nodes {
		got := n.fsm.Apply(&raft.Log{Index: g.index, Term: g.term, Type: raft.LogCommand, Data: body, Extensions: stamp})
		if n == leader {
			response = got
		}
	}
	return response
}

func encode(t testing.TB, command fsm.Command) []byte {
	t.Helper()
	body, err := fsm.Encode(command)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func decode(t testing.TB, reply []byte) *fsm.Result {
	t.Helper()
	result, err := fsm.DecodeResult(reply)
	if err != nil {
		t.Fatalf("reply %x: %v", reply, err)
	}
	return result
}

// testKey is the API key of sync n: each has as many as may be in flight at once.
func testKey(n int) string { return fmt.Sprintf("key_a%d", n/refusalsPerMinute%testKeys) }

// requestIDs are given to one proposal each.
var requestIDs atomic.Uint32

// syncBody is a small sync of testOrg; change adjusts it before it is encoded.
func syncBody(t testing.TB, n int, change ...func(*fsm.Sync)) []byte {
	t.Helper()
	id := requestIDs.Add(1)
	s := &fsm.Sync{
		RequestID: fsm.RequestID{0xff, byte(id >> 16), byte(id >> 8), byte(id)},
		SyncID:    fmt.Sprintf("sync_%d", n),
		Org:       testOrg, KeyID: testKey(n), Store: testStore,
		Mode: fsm.Incremental,
		Operations: []fsm.Operation{{
			Action: fsm.Upsert, Namespace: "ns", ID: fmt.Sprintf("id-%d", n), Data: []byte(`{}`),
		}},
	}
	for _, c := range change {
		c(s)
	}
	return encode(t, s)
}
