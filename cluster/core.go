package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"pipesync/internal/durable"
)

const (
	barrierEnqueueTimeout = 5 * time.Second
	// raftIOTimeout bounds one RPC; a snapshot's grows with its size, by one
	// such time for each snapshotBytesPerTimeout.
	raftIOTimeout           = 10 * time.Second
	snapshotBytesPerTimeout = 8 << 20
	raftPooledConns         = 4
)

// core is a running Raft with all that it stands on.
type core struct {
	raft       *raft.Raft
	store      *logStore
	progress   *progress
	answers    *answers
	deliveries *deliveries
	silences   silences
	followers  *replication
	sending    *snapshotSending
	transport  *raft.NetworkTransport
	backlog    *backlog
	stream     *raftStream
	leadership *leadership
	succession *succession
	questions  flights // of verify
	heartbeats flights // that have come, see numberedTransport
	heard      heard
	self       raft.ServerID
	logger     *slog.Logger
	simulation Simulation
	reloading  sync.Mutex // see reload

	snapshotting chan struct{} // has a token while a snapshot is taken
	snapshotAt   time.Time     // when the last was, or this process began; of who has the token

	// As configured; trailingBytes is 0 where it isn't.
	snapshotBytes, trailingBytes int64

	// stop ends the goroutines of run; stopped is closed when Raft has ended.
	stop    context.CancelFunc
	wg      sync.WaitGroup
	stopped chan struct{}
}

// coreConfig is what a core needs of its node.
type coreConfig struct {
	Config
	id     identity
	stream *raftStream
	sm     StateMachine
	gate   Gate
	meters *meters
	hangUp func() // closes all of Raft's connections to this node
}

// startCore opens the log and starts Raft. A node whose bootstrap is pending
// gets its first configuration here, once.
func startCore(cfg coreConfig) (_ *core, err error) {
	dir := filepath.Join(cfg.DataDir, raftDirName)
	c := &core{
		answers: newAnswers(), deliveries: newDeliveries(), followers: newReplication(), sending: newSnapshotSending(),
		leadership: newLeadership(cfg.gate), stream: cfg.stream,
		self: raft.ServerID(cfg.id.NodeID), logger: cfg.Logger, simulation: cfg.Simulation,
		snapshotBytes: cfg.SnapshotBytes, trailingBytes: cfg.TrailingBytes,
		snapshotting: make(chan struct{}, 1), snapshotAt: time.Now(),
		succession: newSuccession(), stopped: make(chan struct{}),
	}
	if err := durable.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if err := refuseForeign(dir); err != nil {
		return nil, err
	}
	logger, snapshots := newRaftLogger(cfg.Logger), cfg.sm.Snapshots()
	if err := compactLog(dir, compactFileBytes, cfg.Logger); err != nil {
		return nil, err
	}
	file, err := cfg.Simulation.OpenLog(dir)
	if err != nil {
		return nil, err
	}
	c.store = newLogStore(file, cfg.Fatal, floorOf(snapshots))
	defer func() {
		if err != nil {
			_ = c.store.file.Close()
		}
	}()
	c.progress = newProgress(cfg.sm, cfg.meters, &snapshotEnd{log: c.store.log, snapshots: snapshots}, cfg.Fatal)
	if err := checkState(cfg.id, c.store, snapshots); err != nil {
		return nil, err
	}
	rc := raftConfig(cfg)
	if rc.NoSnapshotRestoreOnStart, err = checkStart(cfg.sm, c.store.log, snapshots); err != nil {
		return nil, err
	}
	rc.Logger, rc.NotifyCh = logger, c.leadership.notify
	numbered := c.openTransport(cfg, logger)
	defer func() {
		if err != nil {
			_ = c.transport.Close()
		}
	}()
	if cfg.id.Pending == pendingBootstrap {
		if err := c.bootstrap(rc, snapshots, numbered); err != nil {
			return nil, fmt.Errorf("writing the first configuration: %w", err)
		}
	}
	newest, err := newestSnapshot(snapshots)
	if err != nil {
		return nil, err
	}
	if err := c.store.scan.begin(newest.Index, cfg.sm.Applied()); err != nil {
		return nil, err
	}
	c.raft, err = newRaft(rc, c.progress, c.store, snapshots, numbered)
	if failed := c.progress.started(); failed != nil {
		return nil, fmt.Errorf("restoring the newest snapshot: %w; %s", failed, startCure)
	}
	if err != nil {
		return nil, fmt.Errorf("starting raft: %w", err)
	}
	c.store.scan.end()
	c.run()
	return c, nil
}

// openTransport opens what Raft sends through and receives from.
func (c *core) openTransport(cfg coreConfig, logger hclog.Logger) *numberedTransport {
	tc := TransportTuning()
	tc.Stream, tc.Logger = cfg.stream, logger
	c.transport = raft.NewNetworkTransportWithConfig(tc)
	c.transport.TimeoutScale = snapshotBytesPerTimeout
	c.backlog = newBacklog(c.transport.Consumer(), c.progress, cfg.maxUnappliedBytes, &c.heard, cfg.hangUp)
	return &numberedTransport{
		NetworkTransport: c.transport, answers: c.answers, deliveries: c.deliveries, followers: c.followers, sending: c.sending,
		backlog: c.backlog, heartbeats: &c.heartbeats, heard: &c.heard,
	}
}

// newRaft is raft.NewRaft, which panics with the error of an entry that it can't
// read. It has started nothing by then.
func newRaft(rc *raft.Config, sm raft.FSM, store *logStore, snapshots raft.SnapshotStore, transport raft.Transport) (r *raft.Raft, err error) {
	defer func() {
		p := recover()
		if perr, ok := p.(error); ok && r == nil {
			err = perr
		} else if p != nil {
			panic(p)
		}
	}()
	r, err = raft.NewRaft(rc, sm, store.log, store.variables, snapshots, transport)
	if err == nil {
		store.alarm.started.Store(true)
	}
	return r, err
}

// bootstrap writes the first configuration, if an earlier attempt hasn't. Raft
// writes a term and then the entry: where it was cut off in between, it would
// take the term for a log's and never write the entry.
func (c *core) bootstrap(rc *raft.Config, snapshots raft.SnapshotStore, transport raft.Transport) error {
	first := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: c.self, Address: transport.LocalAddr(),
	}}}
	err := raft.BootstrapCluster(rc, c.store.log, c.store.variables, snapshots, transport, first)
	if !errors.Is(err, raft.ErrCantBootstrap) {
		return err
	}
	last, err := c.store.log.LastIndex()
	if err != nil || last > 0 {
		return err
	}
	return c.store.log.StoreLog(&raft.Log{
		Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(first),
	})
}

func (c *core) run() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.leadership.raft, c.leadership.progress = c.raft, c.progress
	c.sending.run(ctx, c.votes)
	c.wg.Go(func() { c.backlog.run(ctx, c.raft.CommitIndex, c.raft.AppliedIndex, c.raft.CurrentTerm, c.raft.State) })
	c.wg.Go(func() { c.leadership.run(ctx) })
	c.wg.Go(func() { c.succession.run(ctx, c.raft) })
	c.wg.Go(func() { c.snapshotByBytes(ctx) })
	c.wg.Go(func() { c.watchLeader(ctx) })
}

// reload changes Raft's configuration while it runs.
func (c *core) reload(change func(*raft.ReloadableConfig)) error {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	rc := c.raft.ReloadableConfig()
	change(&rc)
	return c.raft.ReloadConfig(rc)
}

// checkState refuses a directory whose log is gone although the node was a
// member: it may have voted and acknowledged what it no longer knows.
func checkState(id identity, store *logStore, snapshots raft.SnapshotStore) error {
	has, err := raft.HasExistingState(store.log, store.variables, snapshots)
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	if !has && id.Pending == pendingNone {
		return fmt.Errorf("opening the log: node %s is a member of %s but its log is empty; remove the member, then join from an empty data directory", id.NodeID, id.ClusterID)
	}
	return nil
}

func raftConfig(cfg coreConfig) *raft.Config {
	rc := RaftTuning()
	rc.LocalID = raft.ServerID(cfg.id.NodeID)
	rc.HeartbeatTimeout, rc.ElectionTimeout = cfg.HeartbeatTimeout, cfg.ElectionTimeout
	rc.LeaderLeaseTimeout = cfg.HeartbeatTimeout
	// The node notices its removal itself, and stops in order.
	rc.ShutdownOnRemove = false
	return rc
}

// shutdown stops Raft and closes the log. It is not to be called twice.
func (c *core) shutdown() error {
	c.stop()
	answered, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	c.questions.drain(answered)
	err := c.raft.Shutdown().Error()
	close(c.stopped)
	c.transport.CloseStreams()
	c.wg.Wait()
	c.heartbeats.drain(context.Background()) // each ends with its write, which diskGuard bounds
	if cerr := c.store.file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("closing the log: %w", cerr)
	}
	return err
}

// leader returns the term and the leader that this node knows in it; the id is
// empty if it knows none.
func (c *core) leader() (term uint64, id raft.ServerID) {
	for {
		term = c.raft.CurrentTerm()
		_, id = c.raft.LeaderWithID()
		if c.raft.CurrentTerm() != term {
			continue
		}
		if id != c.self && !c.heard.confirms(term, id) {
			id = ""
		}
		return term, id
	}
}

func (c *core) servers() []raft.Server {
	return c.raft.GetConfiguration().Configuration().Servers
}

func (c *core) server(id raft.ServerID) (raft.Server, bool) {
	for _, s := range c.servers() {
		if s.ID == id {
			return s, true
		}
	}
	return raft.Server{}, false
}
