package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"pipesync/api"
	"pipesync/api/auditlog"
	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm"
	"pipesync/fsm/admission"
	"pipesync/fsm/audit"
	"pipesync/fsm/upkeep"
)

const (
	adminTokenName = "admin-token"
	stateName      = "state"
	scrubsName     = "scrubs.json"
	certsName      = "certs"
	auditLogName   = "audit.log"

	// The edge sets deadlines of its own for bodies and slow routes; these are
	// what no connection outlives.
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 2 * time.Minute
	writeTimeout      = 3 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

func (n *node) lockData(ctx context.Context) error {
	lock, err := lockDir(ctx, n.DataDir, maxLockWait)
	if err != nil {
		return err
	}
	n.started("the lock of the data directory", func(context.Context) error { return lock.release() })
	return nil
}

// makeAdminToken gives a node that was told no admin token its own.
func (n *node) makeAdminToken() (err error) {
	if n.secrets.adminToken == "" {
		n.secrets.adminToken, err = readOrMakeSecret(filepath.Join(n.DataDir, adminTokenName), mintAdminToken)
	}
	return err
}

func (n *node) bindHTTP() error {
	listener, err := net.Listen("tcp", n.HTTP.Addr)
	if err != nil {
		return err
	}
	n.listener = listener
	n.started("the HTTP port", func(context.Context) error {
		_ = listener.Close() // closed already where the server ran
		return nil
	})
	return nil
}

func (n *node) openAuditLog() error {
	n.auditLog = auditlog.Open(auditlog.Options{
		Path: n.auditFile(), MaxBytes: n.Audit.MaxBytes, Node: n.cluster.Status().NodeID, Now: time.Now, Logger: n.log, Registerer: n.registry,
	})
	n.started("the audit log", n.auditLog.Close)
	return nil
}

func (n *node) openState() error {
	state, err := fsm.Open(fsm.Options{
		Dir:        filepath.Join(n.DataDir, stateName),
		Logger:     n.log,
		Fatal:      n.fatal,
		CacheBytes: n.Disk.CacheBytes,
		// Entries are applied only once openCluster has run, after these are set.
		Observe:  func(index uint64, clusterTime int64) { n.gate.Observe(index, clusterTime) },
		Marked:   func(m fsm.Marked) { n.audit.Marked(m) },
		Restored: func() { n.audit.Restored() },
		Decided:  n.decisions.decided,
	})
	if err != nil {
		return err
	}
	n.state = state
	n.registry.MustRegister(stateMetrics{state})
	n.audit = audit.New(state, filepath.Join(n.DataDir, scrubsName), n.log)
	n.gate = admission.New(state, n.clocks)
	flushing, stopFlushing := context.WithCancel(context.Background())
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		upkeep.KeepFlushed(flushing, state, n.log)
	}()
	n.started("the state", func(context.Context) error {
		stopFlushing()
		<-flushed
		return state.Close()
	})
	return nil
}

func (n *node) openCerts() (err error) {
	if n.Insecure {
		return nil
	}
	n.certs, err = certs.Open(n.certsDir(), n.clocks.Wall, time.Now)
	return err
}

func (n *node) openCluster() error {
	c, err := cluster.Open(cluster.Config{
		NodeID:          n.NodeID,
		DataDir:         n.DataDir,
		PeerBind:        n.Peer.Addr,
		PeerAdvertise:   n.Peer.Advertise,
		GossipBind:      n.Gossip.Addr,
		GossipAdvertise: n.Gossip.Advertise,
		HTTPAdvertise:   n.httpAdvertise(),
		GossipKey:       n.secrets.gossipKey,
		GossipKeys:      gossipKeys{n.state, n.secrets.gossipKey},
		Certs:           n.certs,
		Insecure:        n.Insecure,
		Version:         buildVersion().Version,
		Clocks:          n.clocks,
		Auditor:         n.audit,
		Versions:        versions{n.state},
		Rotations:       rotations{n.state},
		Removal:         n.removalPolicy,
		Logger:          n.log,
		Registerer:      n.registry,
		Fatal:           n.fatal,
		MinFreeBytes:    n.Disk.MinFreeBytes,
		SnapshotBytes:   n.Raft.SnapshotBytes,
		TrailingBytes:   n.Raft.TrailingBytes,
		Disks:           []string{n.DataDir, filepath.Join(n.DataDir, stateName)},
	}, n.state, countedGate{auditedGate{n.gate, n.audit}, n.decisions})
	if err != nil {
		return err
	}
	n.cluster = c
	n.started("the cluster", c.Shutdown)
	return nil
}

func (n *node) serveHTTP() error {
	handler, err := api.New(api.Deps{
		Cluster:             n.cluster,
		State:               n.state,
		NodeID:              n.cluster.Status().NodeID,
		Version:             buildVersion().Version,
		AdminToken:          n.secrets.adminToken,
		InsecureHTTP:        n.httpCerts == nil && !n.listener.Addr().(*net.TCPAddr).IP.IsLoopback(),
		Certificates:        n.httpCertificates(),
		Logger:              n.log,
		Registry:            n.registry,
		Limits:              api.Limits{MaxBodyBytes: n.HTTP.MaxBodyBytes},
		ClusterTime:         n.gate.Estimate,
		Audit:               n.audit,
		AuditLog:            n.auditLog,
		Now:                 n.clocks.Wall,
		IgnoreUnknownFields: n.HTTP.UnknownFields == ignoreUnknownFields,
	})
	if err != nil {
		return err
	}
	n.server = n.newServer(handler, writeTimeout)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.listenHTTP(); !errors.Is(err, http.ErrServerClosed) {
			n.served <- err
		}
	}()
	n.started("the HTTP server", func(ctx context.Context) error {
		err := n.drainHTTP(ctx)
		<-ended
		return err
	})
	return nil
}

func (n *node) newServer(handler http.Handler, writeTimeout time.Duration) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
}

// drainHTTP stops accepting and waits for the requests under way. A leader hands
// leadership over meanwhile, so that the next one decides them; where nothing is
// under way, that is left to the cluster's own shutdown.
func (n *node) drainHTTP(ctx context.Context) error {
	handOver, cancel := context.WithTimeout(ctx, maxHandOver)
	defer cancel()
	handed := make(chan struct{})
	go func() {
		defer close(handed)
		if s := n.cluster.Status(); s.Role != cluster.RoleLeader || s.Voters < 2 {
			return
		}
		if err := n.cluster.TransferLeadership(handOver, ""); err != nil && handOver.Err() == nil {
			n.log.Warn("could not hand leadership over", "error", err)
		}
	}()
	err := n.server.Shutdown(ctx)
	cancel()
	<-handed
	if err != nil {
		_ = n.server.Close() // cut what was not drained in time
	}
	return err
}

// httpAdvertise is the HTTP address that others are told: a URL where it speaks TLS. Its
// port 0 stands for the bound one.
func (n *node) httpAdvertise() string {
	if n.httpCerts != nil {
		return "https://" + n.httpHostPort()
	}
	return n.httpHostPort()
}

func (n *node) httpHostPort() string {
	bound := n.listener.Addr().String()
	if n.HTTP.Advertise == "" {
		return bound
	}
	host, port, err := net.SplitHostPort(n.HTTP.Advertise)
	if tcp, ok := n.listener.Addr().(*net.TCPAddr); ok && err == nil && port == "0" {
		return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
	}
	return n.HTTP.Advertise
}

// refuseRemoved ends the start of a node that has left its cluster: it has no
// part in anything any more.
func (n *node) refuseRemoved() error {
	if !n.isRemoved() {
		return nil
	}
	return &exitError{code: exitLocal, err: cluster.ErrRemoved,
		hint: "have it begin anew under its id: pipesync reseed --yes; or move " + n.DataDir + " away for a new node; then join again"}
}

func (n *node) isRemoved() bool {
	select {
	case <-n.cluster.Removed():
		return true
	default:
		return false
	}
}
