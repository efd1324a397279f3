// Package api is the HTTP edge of a node: the only package that knows status
// codes and JSON. It reads from the state machine's views, writes by proposing
// encoded commands to the cluster, and keeps nothing that the replicated state
// does not hold, save for short-lived memories of its own (misses, freshness).
package api

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pipesync/api/auditlog"
	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm"
	"pipesync/fsm/audit"
)

// Cluster is what the edge asks of the node that it fronts. All methods are
// called concurrently. Errors of Propose and ReadIndex match the outcome
// classes of package cluster.
type Cluster interface {
	// Propose returns the encoded fsm.Result of body, once decided.
	Propose(ctx context.Context, body []byte) ([]byte, error)
	// ReadIndex returns an index such that a state that has applied it shows
	// every write acknowledged before the call. Concurrent calls share a round.
	ReadIndex(ctx context.Context) (uint64, error)
	Status() cluster.Status
	// LeaderID is Status().LeaderID, at no cost to speak of.
	LeaderID() string
	Members() ([]cluster.Member, error)
	Sizes() cluster.Sizes
	Join(ctx context.Context, peerAddr, token string, nonvoter bool) error
	Remove(ctx context.Context, nodeID string, force bool) error
	// TransferLeadership hands leadership to nodeID, or to any voter where it
	// is empty.
	TransferLeadership(ctx context.Context, nodeID string) error
	// RotateCA begins to replace the cluster's CA, or does nothing where that is under
	// way, and returns the fingerprint of the new one.
	RotateCA(ctx context.Context) (string, error)
	CARotation() *cluster.RotationStatus // the last; nil: none, or not known
	// JoinCAs are the fingerprints of the CAs by one of which a node that joins knows
	// the cluster; none where nodes speak plain text.
	JoinCAs() []string
}

// State is this node's copy of the replicated state. All methods are called
// concurrently.
type State interface {
	Applied() uint64
	WaitApplied(ctx context.Context, index uint64) error
	// View pins a consistent view; the caller closes it. fsm.ErrNotReady says
	// that the state is being replaced.
	View() (*fsm.View, error)
	// Key and Store are those of a View that is opened and closed for the question.
	Key(id string) (fsm.Key, bool, error)
	Store(org, name string) (fsm.Store, bool, error)
	// OmitContents leaves out of a sync's entry what its records have already.
	OmitContents(*fsm.Sync) error
	// Backup pins the state as it is; the caller closes it. Errors are as of View.
	Backup() (*fsm.Backup, error)
	// Metrics touches no disk. Errors are as of View.
	Metrics() (fsm.Metrics, error)
}

// Audit judges this node's state. All methods are called concurrently.
type Audit interface {
	// Alarm is why the state can't be trusted, nil where nothing is known against it.
	Alarm() error
	// Refusal is why reads mustn't be served now: the Alarm, or that nothing is
	// known for it yet.
	Refusal() error
	// LastScrub is the last look at all rows that has ended, and what a comparison
	// with the other members' says; false where there is none.
	LastScrub() (audit.Scrub, audit.Verdict, bool)
}

// Certificates are those of the HTTP port. All methods are called concurrently.
type Certificates interface {
	// Status is that of the port's own certificate; its CAs are administrators'.
	Status() certs.Status
	// Administrator names the administrator of the cluster, of any where clusterID is
	// empty, whose certificate the client's chain is. An error that is
	// certs.ErrNoCertificate says that there is none to judge.
	Administrator(chain []*x509.Certificate, clusterID string) (string, error)
}

// AuditLog takes down what administrators do and whom this node refuses. No method
// waits; all are called concurrently.
type AuditLog interface {
	Record(auditlog.Event)
	// Refuse may leave out what has the same cause as another, and counts it.
	Refuse(e auditlog.Event, cause string)
	// Problem is why lines are lost; nil: none are.
	Problem() error
}

// noAuditLog is for tests.
type noAuditLog struct{}

func (noAuditLog) Record(auditlog.Event)         {}
func (noAuditLog) Refuse(auditlog.Event, string) {}
func (noAuditLog) Problem() error                { return nil }

// noAudit trusts every state.
type noAudit struct{}

func (noAudit) Alarm() error   { return nil }
func (noAudit) Refusal() error { return nil }
func (noAudit) LastScrub() (audit.Scrub, audit.Verdict, bool) {
	return audit.Scrub{}, audit.Unknown, false
}

// Limits bound what one request, and all of them together, may cost this node.
// A zero field takes its default.
type Limits struct {
	MaxBodyBytes         int64         // of one body, decompressed; 16 MiB
	MaxBufferedBodyBytes int64         // of all bodies held at once, four fifths of it of one organization; 512 MiB
	MaxOperations        int           // in one sync; 5000
	MaxLookups           int           // look-ups of unknown keys and stores at once; 1000
	MaxDryRuns           int           // dry runs at once; 4
	BodyTimeout          time.Duration // to receive a body; 60 s
	SyncTimeout          time.Duration // from a body received to its decision; 10 s
	ReadTimeout          time.Duration // for a read, its wait for an index included; 10 s
	ChangeTimeout        time.Duration // for a removal or a transfer of leadership; 25 s
	JoinTimeout          time.Duration // for a join, which copies the state; 10 min
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.MaxBodyBytes, 16<<20)
	setDefault(&l.MaxBufferedBodyBytes, 512<<20)
	setDefault(&l.MaxOperations, 5000)
	setDefault(&l.MaxLookups, 1000)
	setDefault(&l.MaxDryRuns, 4)
	setDefault(&l.BodyTimeout, 60*time.Second)
	setDefault(&l.SyncTimeout, 10*time.Second)
	setDefault(&l.ReadTimeout, 10*time.Second)
	setDefault(&l.ChangeTimeout, 25*time.Second)
	setDefault(&l.JoinTimeout, 10*time.Minute)
	return l
}

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// Deps is what New wires together. Cluster, State, NodeID, Logger and Registry
// are required.
type Deps struct {
	Cluster Cluster
	State   State
	NodeID  string
	Version string
	// AdminToken is this node's own admin token; empty: only the cluster's is
	// accepted.
	AdminToken string
	// InsecureHTTP says that the HTTP port is open beyond this machine without
	// TLS, for the status.
	InsecureHTTP bool
	// Certificates are those of the HTTP port; nil: it speaks plain text.
	Certificates Certificates
	Logger       *slog.Logger
	Registry     *prometheus.Registry // served at /metrics; the edge's families are added
	Limits       Limits
	// IgnoreUnknownFields accepts sync bodies with fields that the API does not
	// have, instead of refusing them by name.
	IgnoreUnknownFields bool
	// ClusterTime estimates the cluster time now, in nanoseconds since
	// bootstrap, for the rate limit headers of requests that were refused before
	// they reached the leader. Nil: the cluster time of the last applied entry,
	// which understates what remains.
	ClusterTime func() int64
	// Audit is asked before anything is read from this node's state. Nil: every
	// state is trusted.
	Audit Audit
	// AuditLog is nil where nothing is to be taken down.
	AuditLog AuditLog
	// Now is the wall clock by which this node judges whether a key has expired, and
	// decides in dry runs; where a sync is committed, its entry's does. Nil: time.Now.
	Now func() time.Time
}

// New returns the handler for every route of a node's HTTP port. It starts no
// goroutine and is safe for concurrent use.
func New(d Deps) (http.Handler, error) {
	if d.Cluster == nil || d.State == nil || d.Logger == nil || d.Registry == nil || d.NodeID == "" {
		return nil, errors.New("api: Cluster, State, NodeID, Logger and Registry are required")
	}
	d.Limits = d.Limits.withDefaults()
	if d.Audit == nil {
		d.Audit = noAudit{}
	}
	if d.AuditLog == nil {
		d.AuditLog = noAuditLog{}
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return newServer(d)
}
