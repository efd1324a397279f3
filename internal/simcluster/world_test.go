package simcluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pipesync/cluster"
	"pipesync/fsm"
	"pipesync/storage"
)

const (
	clients = 20
	// recoveryTime bounds how long after the end of all faults the cluster may
	// take to write again. Raft's pauses between attempts grow to 10 s, and so
	// long an RPC may hang that was sent into a fault.
	recoveryTime = 40 * time.Second
	setupTime    = time.Minute
	// tombstoneSeconds of cluster time are less than what clients may be late.
	tombstoneSeconds = 20
)

// world is one simulation: a cluster, its clients and what befalls it.
type world struct {
	t      *testing.T
	seed   uint64
	dir    string
	rng    *rand.Rand // of the goroutine that sets up and breaks things
	net    *network
	ledger *ledger
	counts *counts
	failed atomic.Bool
	begun  time.Time

	background sync.WaitGroup // what outlives its cause a little

	mu       sync.Mutex
	keys     map[string]*apiKey // by organization
	machines []*machine         // members, and who is about to be one
	named    int
	trace    []string
}

func newWorld(t *testing.T, seed uint64, dir string, c *counts) *world {
	w := &world{
		t: t, seed: seed, dir: dir, rng: rand.New(rand.NewPCG(seed, 1)), counts: c,
		keys: make(map[string]*apiKey), begun: time.Now(),
	}
	w.net = newNetwork(rand.New(rand.NewPCG(seed, 2)))
	w.ledger = newLedger(w)
	return w
}

func (w *world) replay() string {
	return fmt.Sprintf("seed %d, to be run again by: go test ./internal/simcluster -run '^TestSimulation$' -sim.seed=%d -count=20", w.seed, w.seed)
}

// violate notes that a promise was broken.
func (w *world) violate(format string, args ...any) {
	if w.failed.CompareAndSwap(false, true) {
		w.t.Error(w.replay())
	}
	w.t.Errorf("after %v: %s", time.Since(w.begun), fmt.Sprintf(format, args...))
}

// note adds to what is told of a run that failed.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%v %s", time.Since(w.begun), fmt.Sprintf(format, args...)))
}

func (w *world) logger(name string) *slog.Logger {
	if os.Getenv("SIM_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", name)
}

// run is the whole life of the world.
func (w *world) run(size, rounds int) {
	if err := w.form(size); err != nil {
		w.violate("forming the cluster: %v", err)
		w.end()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	for i := range clients {
		c := &client{w: w, name: fmt.Sprintf("c%d", i), rng: rand.New(rand.NewPCG(w.seed, uint64(100+i)))}
		working.Go(func() { c.run(ctx) })
	}
	working.Go(func() { newAdministrator(w).run(ctx) })
	for i := range followers {
		f := &follower{w: w, rng: rand.New(rand.NewPCG(w.seed, uint64(200+i)))}
		working.Go(func() { f.run(ctx) })
	}
	n := &nemesis{w: w}
	for i := 0; i < rounds && !w.failed.Load(); i++ {
		n.strike()
		w.counts.rounds.Add(1)
	}
	cancel()
	working.Wait()
	w.end()
	w.ledger.settle()
	w.counts.lived(time.Since(w.begun))
	if w.failed.Load() {
		w.t.Log(strings.Join(w.trace, "\n"))
	}
}

// end compares all nodes and stops them.
func (w *world) end() {
	if !w.failed.Load() {
		w.converge()
	}
	for _, m := range w.all() {
		if err := m.stop(); err != nil {
			w.violate("stopping %s: %v", m.name, err)
		}
	}
	w.background.Wait()
}

func (w *world) all() []*machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*machine(nil), w.machines...)
}

func (w *world) anyMachine(rng *rand.Rand) *machine {
	all := w.all()
	return all[rng.IntN(len(all))]
}

// machine makes the next one.
func (w *world) machine() (*machine, error) {
	w.mu.Lock()
	w.named++
	name := fmt.Sprintf("127.0.0.%d", w.named)
	w.mu.Unlock()
	return newMachine(w, name)
}

func (w *world) add(m *machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.machines = append(w.machines, m)
}

func (w *world) remove(gone *machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, m := range w.machines {
		if m == gone {
			w.machines = append(w.machines[:i:i], w.machines[i+1:]...)
			return
		}
	}
}

// form makes a cluster of the size, with organizations, stores and keys.
func (w *world) form(size int) error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTime)
	defer cancel()
	for i := range size {
		m, err := w.machine()
		if err != nil {
			return err
		}
		if err := m.start(); err != nil {
			return err
		}
		w.add(m)
		if i == 0 {
			if err := w.found(ctx, m.running()); err != nil {
				return err
			}
			continue
		}
		if err := m.running().node.Join(ctx, w.machines[0].addr(), adminToken, false); err != nil {
			return err
		}
	}
	a := newAdministrator(w)
	for i := range organizations {
		if !a.makeKey(ctx, fmt.Sprintf("org_%d", i)) {
			return fmt.Errorf("no key could be made: %w", context.Cause(ctx))
		}
	}
	return nil
}

func (w *world) found(ctx context.Context, p *process) error {
	if err := p.node.Bootstrap(ctx); err != nil {
		return err
	}
	body, err := fsm.Encode(&fsm.Bootstrap{
		RequestID: fsm.RequestID{1}, ClusterID: p.node.Status().ClusterID, Epoch: storage.Epoch{1},
		Settings: storage.Settings{
			Limits: storage.Limits{RequestsPerWindow: windowLimit}, WindowMillis: windowMillis,
			AdminTokenHash: sha256.Sum256([]byte(adminToken)), TombstoneRetentionSeconds: tombstoneSeconds,
			IdempotencyRetentionSeconds: 24 * 60 * 60, IdempotencyKeysMax: 1_000_000,
			HistoryRetentionSeconds: 30 * 24 * 60 * 60, HistorySyncsMax: 100_000,
		},
	})
	if err != nil {
		return err
	}
	_, err = p.node.Propose(ctx, body)
	return err
}

// admin sends a request of an administrator.
func (m *machine) admin(ctx context.Context, method, path, body string) (a answer, sent bool) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+adminToken)
	return m.call(ctx, r)
}

// recovered returns when the cluster writes again, through any machine.
func (w *world) recovered() {
	healed := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), recoveryTime)
	defer cancel()
	body := fmt.Sprintf(`{"organization_id":"org_0","vector_store_id":%q}`, store)
	for _, m := range w.all() {
		for {
			attempt, stop := context.WithTimeout(ctx, 2*time.Second)
			a, _ := m.admin(attempt, http.MethodPost, "/v1/admin/stores", body)
			stop()
			if a != nil && a.Code < http.StatusBadRequest {
				break
			}
			if ctx.Err() != nil {
				a, _ = m.admin(context.Background(), http.MethodPost, "/v1/admin/stores", body) // says more
				w.violate("%s doesn't write %v after the end of all faults: %+v\n%s", m.name, time.Since(healed), a, w.statuses())
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	w.counts.recovered(time.Since(healed))
}

func (w *world) statuses() string {
	var b strings.Builder
	for _, m := range w.all() {
		if p := m.running(); p != nil {
			fmt.Fprintf(&b, "%+v\n", p.node.Status())
		}
	}
	return b.String()
}

// leader returns the machine that leads in the highest term, nil if none says so.
func (w *world) leader() *machine {
	var leader *machine
	var term uint64
	for _, m := range w.all() {
		p := m.running()
		if p == nil {
			continue
		}
		if s := p.node.Status(); s.Role == cluster.RoleLeader && s.Term > term {
			leader, term = m, s.Term
		}
	}
	return leader
}

// healthy reports a node that doesn't trust its state.
func (w *world) healthy(p *process) {
	if err := p.audit.Alarm(); err != nil {
		w.violate("%s: %v", p.m.name, err)
	}
}

// converge waits until all nodes have applied the same, and compares all of it.
func (w *world) converge() {
	ctx, cancel := context.WithTimeout(context.Background(), recoveryTime)
	defer cancel()
	head := uint64(0)
	for _, m := range w.all() {
		head = max(head, m.running().state.Applied())
	}
	for _, m := range w.all() {
		p := m.running()
		err := p.state.WaitApplied(ctx, head)
		for ; errors.Is(err, fsm.ErrNotReady) && ctx.Err() == nil; err = p.state.WaitApplied(ctx, head) {
			time.Sleep(time.Second) // what it lacks comes as a snapshot
		}
		if err != nil {
			w.violate("%s doesn't catch up: %v\n%s", m.name, err, w.statuses())
			return
		}
		w.healthy(p)
		w.ledger.mu.Lock()
		w.ledger.compareState(p, p.state.Applied(), true)
		w.ledger.mu.Unlock()
	}
}

// home is a directory on the real disk for what isn't in memory.
func home(t *testing.T) string {
	dir := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "simcluster"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(shm) })
		dir = shm
	}
	return filepath.Clean(dir)
}
