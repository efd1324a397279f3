package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pipesync/cluster/certs"
	"pipesync/internal/durable"
)

// Node is one member, or future member, of a cluster. Its methods may be called
// concurrently.
type Node struct {
	cfg    Config
	sm     StateMachine
	gate   Gate
	ports  ports
	mux    *peerMux
	server *http.Server
	hop    *hopClient

	forwards *turns // proposals to the leader
	space    *space

	heard    heardFollowers
	rings    heldRings
	rotating rotating
	// expecting are the sorted addresses of those with which this node is about to found
	// a cluster; nil: it isn't.
	expecting atomic.Pointer[[]string]

	budget   *budget
	flights  flights
	reads    rounds // this node's readers
	confirms rounds // confirmations while it leads

	// lifecycle is held while the node enters or leaves a cluster or stops;
	// changing has a token while the leader changes the configuration. raising, which
	// it guards, is the newest cluster version that this node has ever proposed.
	lifecycle sync.Mutex
	changing  chan struct{}
	raising   uint32
	// request is for a certificate, of a node that has tried to join without one.
	request *certs.Request

	background sync.WaitGroup
	endMember  context.CancelFunc // ends the goroutines of a membership
	leaveNow   chan struct{}
	settled    chan struct{} // closed when it has caught up since its start
	removed    chan struct{}
	life       context.Context // ends when the node begins to stop
	endLife    context.CancelFunc
	stopping   <-chan struct{} // life.Done
	stopOnce   sync.Once
	stopErr    error
	opened     time.Time

	mu     sync.RWMutex
	id     identity
	core   *core   // nil: in no cluster
	gossip *gossip // likewise

	meters         *meters
	unregister     func() // of the node's metrics
	unregisterCore func() // of those of core; under lifecycle
}

// Open binds the ports of cfg and, if the node already belongs to a cluster,
// starts Raft over sm and resumes a join that was interrupted. gate is asked on
// the leader only.
//
// A node that was removed opens too, so that it can say so: its Removed channel
// is closed and it is a member of nothing.
func Open(cfg Config, sm StateMachine, gate Gate) (*Node, error) {
	cfg.setDefaults()
	n, err := open(cfg, sm, gate)
	if err != nil {
		return nil, fmt.Errorf("opening the node: %w", err)
	}
	return n, nil
}

func open(cfg Config, sm StateMachine, gate Gate) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := durable.MakeDir(cfg.DataDir); err != nil {
		return nil, fmt.Errorf("creating the data directory: %w", err)
	}
	id, err := cfg.loadIdentity()
	if err != nil {
		return nil, err
	}
	p, err := bindPorts(cfg)
	if err != nil {
		return nil, err
	}
	life, endLife := context.WithCancel(context.Background())
	n := &Node{
		cfg: cfg, sm: sm, gate: gate, ports: p, id: id, opened: time.Now(),
		budget:    newBudget(cfg.MaxInFlightBytes, life.Done()),
		hop:       newHopClient(cfg.dialer()),
		changing:  make(chan struct{}, 1),
		space:     &space{dirs: cfg.disks(), min: cfg.MinFreeBytes, probe: cfg.statFS},
		meters:    newMeters(),
		endMember: func() {},

		unregisterCore: func() {},
		leaveNow:       make(chan struct{}, 1),
		settled:        make(chan struct{}),
		removed:        make(chan struct{}),
		life:           life,
		endLife:        endLife,
		stopping:       life.Done(),
	}
	n.forwards = &turns{room: maxForwards, maxWaitingBytes: n.budget.maxBody(), stopping: n.stopping, meters: n.meters.queues[queueForwards]}
	n.budget.turns.meters = n.meters.queues[queueMemory]
	n.reads = rounds{confirm: n.fetchReadPoint, limit: 2 * cfg.ElectionTimeout}
	n.confirms = rounds{confirm: n.confirmReadPoint, limit: 2 * cfg.ElectionTimeout}
	n.unregister = n.register(append(n.meters.collectors, standing{n}))
	n.lookAtSpace()
	n.mux = newPeerMux(p.peer, cfg.Logger, cfg.Certs, n.expect)
	n.server = newHopServer(n)
	n.background.Go(func() { _ = n.server.Serve(n.mux.http) })
	if cfg.Certs != nil {
		n.background.Go(func() { cfg.Certs.Watch(life, n.noteCertificates) })
	}
	switch {
	case id.Removed:
		close(n.removed)
	case id.ClusterID != "":
		if err := n.enter(id); err != nil {
			return nil, errors.Join(err, n.Shutdown(context.Background()))
		}
	}
	return n, nil
}

// expect answers a connection's preamble, and says why where it isn't taken.
func (n *Node) expect(c *peerConn, p preamble) (preambleStatus, string) {
	n.mu.RLock()
	id := n.id
	n.mu.RUnlock()
	status := n.expectAs(id, p)
	if status != statusOK || n.cfg.Certs == nil {
		return status, ""
	}
	if id.ClusterID == "" {
		id.ClusterID = n.cfg.Certs.Self().ClusterID
	}
	return c.authenticate(n.cfg.Certs, id.ClusterID, p)
}

// expectAs is what a node of that identity answers, certificates aside.
func (n *Node) expectAs(id identity, p preamble) preambleStatus {
	switch {
	case n.isStopping():
		return statusShuttingDown
	case p.Kind != kindRaft && p.Kind != kindHTTP:
		return statusUnknownKind
	case id.Removed:
		return statusRemovedMember
	case p.ClusterID == "" && p.Kind == kindHTTP && (id.ClusterID != "" || n.expecting.Load() != nil):
		return statusOK
	case id.ClusterID == "":
		return statusNotJoined
	case p.ClusterID != id.ClusterID:
		return statusWrongCluster
	case p.NodeID != "" && p.NodeID != id.NodeID, p.NodeID == "" && p.Kind == kindRaft:
		return statusWrongNode
	}
	return statusOK
}

// Bootstrap forms a cluster of this node alone, and returns when it leads it. Its id
// is that of the node's certificates; where there are none, it makes a CA and one. A
// node that belongs to a cluster refuses with ErrAlreadyJoined, one that Reseed has made with
// ErrReseeded. A crash in
// between is resumed when the node is opened again.
func (n *Node) Bootstrap(ctx context.Context) error {
	if err := n.found(); err != nil {
		return fmt.Errorf("bootstrapping: %w", err)
	}
	select {
	case <-n.settled:
		return nil
	case <-n.stopping:
		return fmt.Errorf("bootstrapping: %w", ErrStopped)
	case <-ctx.Done():
		return fmt.Errorf("bootstrapping: awaiting the first election: %w", context.Cause(ctx))
	}
}

func (n *Node) found() error {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	id, err := n.unjoined()
	if err != nil {
		return err
	}
	if id.ReseededFrom != "" {
		return ErrReseeded
	}
	clusterID := NewClusterID()
	if n.cfg.Certs != nil {
		if clusterID, err = n.cfg.Certs.Found(clusterID, id.NodeID); err != nil {
			return err
		}
	}
	id.ClusterID, id.Founder, id.Pending = clusterID, true, pendingBootstrap
	return n.enter(id)
}

// Founder reports whether this node bootstrapped its cluster.
func (n *Node) Founder() bool { return n.identity().Founder }

// Removed is closed when this node was taken out of its cluster.
func (n *Node) Removed() <-chan struct{} { return n.removed }

func (n *Node) identity() identity {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.id
}

// changeIdentity writes the changed identity before it is in force.
func (n *Node) changeIdentity(change func(*identity)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := n.id
	change(&id)
	if err := id.save(n.cfg.DataDir); err != nil {
		return err
	}
	n.id = id
	return nil
}

// unjoined returns the identity of a node that may enter a cluster.
func (n *Node) unjoined() (identity, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	switch {
	case n.isStopping():
		return identity{}, ErrStopped
	case n.id.Removed:
		return identity{}, ErrRemoved
	case n.id.ClusterID != "":
		return identity{}, ErrAlreadyJoined
	}
	return n.id, nil
}

// running returns the core, or why there is none.
func (n *Node) running() (*core, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	switch {
	case n.isStopping():
		return nil, ErrStopped
	case n.id.Removed:
		return nil, ErrRemoved
	case n.core == nil:
		return nil, ErrNotJoined
	}
	return n.core, nil
}

func (n *Node) isStopping() bool {
	select {
	case <-n.stopping:
		return true
	default:
		return false
	}
}
