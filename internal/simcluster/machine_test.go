package simcluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pipesync/api"
	"pipesync/cluster"
	"pipesync/fsm"
	"pipesync/fsm/admission"
	"pipesync/fsm/audit"
	"pipesync/fsm/upkeep"
	"pipesync/internal/crashfs"
)

const (
	peerPort   = "8801"
	stateDir   = "/data/state"
	adminToken = "the cluster's token"
	// Small, so that there are flushes, compactions and snapshots in minutes.
	memtableBytes   = 128 << 10
	cacheBytes      = 1 << 20
	snapshotBytes   = 48 << 10
	trailingEntries = 48
	shutdownTime    = 10 * time.Second
	proposeTime     = 10 * time.Second
)

// So are these: a few records are over the bounds, and the leader has always
// something to collect.
var (
	smallBounds = fsm.Bounds{FlipRows: 4, ReconcileRows: 3, StaleChanges: 30, SupersededBytes: 1 << 10}
	quickPace   = upkeep.Pace{
		Collect: 10 * time.Second, Changes: 10 * time.Second, Reconcile: time.Second, Gap: 20 * time.Millisecond, ReconcileGap: 20 * time.Millisecond,
		MarkEntries: 1024, Mark: 10 * time.Second, Scrub: time.Minute,
	}
)

// machine is a place for a node: what outlives its processes.
type machine struct {
	w    *world
	name string // and its only address's host
	rng  *rand.Rand
	wall time.Duration // how far its wall clock is off

	disk  *crashfs.FS
	log   *logFile
	dir   string // of files that aren't on disk
	lives int

	mu       sync.Mutex
	proc     *process      // nil: down
	paused   chan struct{} // not nil: closed at the end of the pause
	patience *time.Timer   // ends the stall of the log
}

func (m *machine) addr() string { return net.JoinHostPort(m.name, peerPort) }

// process is one life of a node.
type process struct {
	m       *machine
	disk    *crashfs.FS
	log     *logFile
	clock   *clock
	state   *fsm.FSM
	gate    *admission.Gate
	audit   *audit.Auditor
	node    *cluster.Node
	handler http.Handler
	opened  uint64          // what the state had applied at the start
	gone    context.Context // ends with the process
	end     context.CancelFunc
	beside  sync.WaitGroup // what a real node does beside everything else
}

// dead reports whether the process has crashed. What it does afterwards nobody
// sees.
func (p *process) dead() bool { return p.gone.Err() != nil }

func newMachine(w *world, name string) (*machine, error) {
	m := &machine{w: w, name: name, rng: rand.New(rand.NewPCG(w.rng.Uint64(), 0)), disk: crashfs.New()}
	m.log = newLogFile(m.rng.Uint64(), newLogData())
	m.dir = filepath.Join(w.dir, name)
	if err := m.disk.MkdirAll(filepath.Dir(stateDir), 0o700); err != nil {
		return nil, err
	}
	root, err := m.disk.OpenDir("/")
	if err != nil {
		return nil, err
	}
	return m, root.Sync()
}

// start starts a process on what the machine has. Starting, stopping and crashing
// are for one goroutine.
func (m *machine) start() error {
	p := &process{m: m, disk: m.disk, log: m.log}
	p.gone, p.end = context.WithCancel(context.Background())
	p.clock = &clock{
		started: time.Now(), base: time.Duration(m.rng.Int64N(int64(time.Hour))),
		ppm: m.rng.Int64N(2*maxPPM+1) - maxPPM, offset: m.wall,
	}
	if err := p.open(); err != nil {
		p.end()
		return fmt.Errorf("starting %s: %w", m.name, err)
	}
	m.lives++
	m.set(p)
	return nil
}

func (m *machine) set(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proc = p
}

func (p *process) open() (err error) {
	p.state, err = fsm.Open(fsm.Options{
		Dir: stateDir, FS: p.disk, CacheBytes: cacheBytes, MemtableBytes: memtableBytes, Bounds: smallBounds, Fatal: p.fatal,
		Observe: func(index uint64, clusterTime int64) {
			p.gate.Observe(index, clusterTime)
			p.m.w.ledger.observe(p, index, clusterTime)
		},
		Marked:   func(m fsm.Marked) { p.audit.Marked(m) },
		Restored: func() { p.audit.Restored() },
	})
	if err != nil {
		return err
	}
	p.opened = p.state.Applied()
	p.audit = audit.New(p.state, filepath.Join(p.m.dir, "scrubs.json"), slog.New(slog.DiscardHandler))
	clocks := cluster.NewClocks(p.clock)
	p.gate = admission.New(p.state, clocks)
	p.node, err = cluster.Open(p.config(clocks), watchedState{p.state, p}, watchedGate{p.gate, p})
	if err != nil {
		_ = p.state.Close()
		return err
	}
	p.handler, err = api.New(api.Deps{
		Cluster: p.node, State: p.state, NodeID: p.m.name, Version: "sim",
		Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), ClusterTime: p.gate.Estimate, Audit: p.audit,
		Limits: api.Limits{SyncTimeout: minPatience + time.Duration(p.m.rng.Int64N(int64(maxPatience)))},
	})
	if err != nil {
		return err
	}
	p.beside.Go(func() { upkeep.KeepFlushed(p.gone, p.state, slog.New(slog.DiscardHandler)) })
	for _, job := range p.leader().Jobs() {
		p.beside.Go(func() { job.Run(p.gone) })
	}
	p.beside.Go(func() { p.audit.Run(p.gone) })
	return nil
}

func (p *process) config(clocks *cluster.Clocks) cluster.Config {
	return cluster.Config{
		NodeID: p.m.name, DataDir: p.m.dir, PeerBind: p.m.addr(), GossipBind: "127.0.0.1:0",
		GossipKey: make([]byte, 32), Insecure: true, Version: "sim", Clocks: clocks, Auditor: p.audit, Logger: p.m.w.logger(p.m.name), Fatal: p.fatal,
		SnapshotBytes: snapshotBytes,
		Simulation: cluster.Simulation{
			Listen:   p.m.w.net.listen,
			Dial:     p.dial,
			OpenLog:  func(string) (cluster.LogFile, error) { return p.log, nil },
			NoGossip: true, TrailingEntries: trailingEntries,
		},
	}
}

// dial connects the process with another machine. One that dies while it dials, and
// it may take as long as a hold, has no connection: its Raft, which is stopped only
// then, would take part in elections with the log and the votes of before.
func (p *process) dial(ctx context.Context, addr string) (net.Conn, error) {
	if p.dead() {
		return nil, net.ErrClosed
	}
	c, err := p.m.w.net.dial(ctx, p.m.name, addr)
	if err == nil && p.dead() {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	return c, err
}

// fatal ends the run: nothing here is a reason for a node to stop.
func (p *process) fatal(err error) {
	if p.dead() {
		return
	}
	p.m.w.violate("%s can't go on: %v", p.m.name, err)
	panic(fmt.Sprintf("%s: %s can't go on: %v", p.m.w.replay(), p.m.name, err))
}

// leader is the process as its upkeep sees it.
func (p *process) leader() upkeep.Leader {
	return upkeep.Leader{
		State: p.state, Pace: quickPace, Log: slog.New(slog.DiscardHandler),
		ClusterTime: func() int64 { return p.gate.ClusterTime(p.node.Status().Term) },
		Propose: func(ctx context.Context, body []byte) error {
			ctx, cancel := context.WithTimeout(ctx, proposeTime)
			defer cancel()
			reply, err := p.node.Propose(ctx, body)
			if err != nil {
				return err
			}
			if outcome, err := fsm.DecodeOutcome(reply); err != nil || outcome != fsm.OK {
				p.m.w.violate("%s proposed what was refused by outcome %d: %v", p.m.name, outcome, err)
			}
			return nil
		},
	}
}

// running returns the machine's process, nil if it is down.
func (m *machine) running() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc
}

// stop ends the process in order.
func (m *machine) stop() error {
	p := m.running()
	if p == nil {
		return nil
	}
	m.set(nil)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	err := p.node.Shutdown(ctx)
	p.close()
	return err
}

// close releases what the process holds.
func (p *process) close() {
	p.end()
	p.beside.Wait()
	_ = p.state.Close()
}

// crash ends the process at once. Of what isn't synced on the disk of the state
// the percentage is kept. It returns how far the state had come.
func (m *machine) crash(percent int) (applied uint64) {
	p := m.running()
	return m.die(p, func() { m.disk = p.disk.Crash(percent, m.rng) })
}

// crashAtWrite has the process crash before one of the next writes to the disk of
// its state. died tells afterwards whether it came to that, and like crash how far
// the state had come.
func (m *machine) crashAtWrite(writes, percent int) (died func() (applied uint64, came bool)) {
	p := m.running()
	var applied uint64
	p.disk.Arm(writes, percent, m.rng, func() { applied = m.die(p, func() {}) })
	return func() (uint64, bool) {
		disk := p.disk.Disarm()
		if disk == nil {
			return 0, false
		}
		m.disk = disk
		return applied, true
	}
}

// die ends the process. take is called while nothing is written to the log.
func (m *machine) die(p *process, take func()) (applied uint64) {
	m.set(nil)
	p.end()
	m.w.net.unplug(m.addr())
	applied = p.state.Applied()
	dir := filepath.Join(m.w.dir, fmt.Sprintf("%s-%d", m.name, m.lives))
	data := p.log.crash(func() {
		take()
		if err := copyDir(dir, m.dir); err != nil {
			m.w.violate("copying the files of %s: %v", m.name, err)
		}
	})
	m.dir, m.log = dir, newLogFile(m.rng.Uint64(), data)
	p.log.stall(false)
	m.w.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		_ = p.node.Shutdown(ctx)
		p.close()
	})
	return applied
}

// copyDir copies what is in from; what vanishes meanwhile is left out.
func copyDir(to, from string) error {
	for range 10 {
		if os.CopyFS(to, os.DirFS(from)) == nil {
			return nil
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
	return os.CopyFS(to, os.DirFS(from))
}

// answer is what came back from a request: nil, if nothing did.
type answer = *httptest.ResponseRecorder

// call sends a request to the machine. It returns nil if no answer came, and sent
// false if nobody was there to take the request.
func (m *machine) call(ctx context.Context, r *http.Request) (a answer, sent bool) {
	p := m.running()
	if p == nil {
		return nil, false
	}
	served, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.gone, cancel)()
	rec := httptest.NewRecorder()
	done := make(chan struct{})
	m.w.background.Go(func() {
		defer close(done)
		p.handler.ServeHTTP(rec, r.WithContext(served))
	})
	select {
	case <-done:
	case <-ctx.Done():
		return nil, true
	case <-p.gone.Done():
		return nil, true
	}
	if !m.awaitResumed(ctx) || p.dead() {
		return nil, true
	}
	return rec, true
}

// awaitResumed returns when the machine isn't paused.
func (m *machine) awaitResumed(ctx context.Context) bool {
	for {
		m.mu.Lock()
		paused := m.paused
		m.mu.Unlock()
		if paused == nil {
			return true
		}
		select {
		case <-paused:
		case <-ctx.Done():
			return false
		}
	}
}

// maxStall is less than what a node takes for a disk that is broken.
const maxStall = 9 * time.Second

// pause holds the machine still, as far as it can be from outside: no answer goes
// out, nothing is written to the log, and with asleep its monotonic clock stands.
// It returns false where the machine is down or paused.
func (m *machine) pause(asleep bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil || m.paused != nil {
		return false
	}
	m.paused = make(chan struct{})
	log := m.log
	log.stall(true)
	m.patience = time.AfterFunc(maxStall, func() { log.stall(false) })
	if asleep {
		m.proc.clock.freeze()
	}
	return true
}

func (m *machine) resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.paused)
	m.paused = nil
	m.patience.Stop()
	m.log.stall(false)
	if m.proc != nil {
		m.proc.clock.thaw()
	}
}
