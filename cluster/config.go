package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pipesync/cluster/certs"
)

const (
	// A vote needs a majority whose members all miss the leader (pre-vote), each after one
	// to three of these: some two in the middle. Of a leader whose process is gone it
	// is little more than one: see watchLeader.
	defaultRaftTimeout      = 500 * time.Millisecond
	defaultMaxInFlightBytes = 512 << 20
)

// Config says who a node is and where it listens. The zero value of a field
// marked optional means its default.
type Config struct {
	// NodeID names the node for ever; optional: identity.json's, else minted.
	NodeID string
	// DataDir holds identity.json and raft/. Only one process may use it.
	DataDir string

	// PeerBind and GossipBind are host:port to listen on; port 0 picks one.
	PeerBind, GossipBind string
	// PeerAdvertise and GossipAdvertise are what others dial; optional: the
	// bound address. A bind to an unspecified address needs PeerAdvertise.
	PeerAdvertise, GossipAdvertise string
	// HTTPAdvertise is told to other nodes as a hint for clients; optional.
	HTTPAdvertise string

	// GossipKey encrypts gossip until the cluster has keys of its own: 16, 24 or 32 bytes.
	// Optional: gossip starts when it has them.
	GossipKey []byte
	// GossipKeys are the cluster's; optional: it never has any.
	GossipKeys GossipKeys
	// Certs are this node's certificates: its peer port speaks TLS 1.3, and both
	// sides of each connection show theirs. nil: it speaks plain text, and so must
	// all other members' do.
	Certs *certs.Store
	// Insecure allows plain text.
	Insecure bool
	// Version of the program, shown to the other members.
	Version string

	// Clocks is where this node reads time. It is corrected by what the other
	// members' clocks show, and belongs to this node alone; optional.
	Clocks *Clocks

	// Versions gates what not every member may know; optional.
	Versions Versions
	// Rotations keeps the rotation of the cluster's CA; optional: the CA stays.
	Rotations Rotations
	// Auditor compares the members' state machines; optional.
	Auditor Auditor

	// Removal says which dead members the leader removes, and is asked every few
	// seconds; optional: none.
	Removal func() RemovalPolicy

	Logger *slog.Logger
	// Registerer receives Raft's and the log store's metrics; optional.
	Registerer prometheus.Registerer

	// HeartbeatTimeout and ElectionTimeout are Raft's; optional: 500 ms each.
	HeartbeatTimeout, ElectionTimeout time.Duration
	// Fatal is told of an error after which the node must not go on, such as
	// a log that can't be written. In production it does not return.
	Fatal func(error)
	// MaxInFlightBytes bounds 8 x the body bytes of the proposals that this
	// node has admitted and not yet answered; optional: 512 MiB. Bodies of as many
	// bytes as it admits at a time, and 4,096 of them, wait for room.
	MaxInFlightBytes int64

	// MinFreeBytes is the watermark of free space on the disks of Disks, below which
	// this node refuses writes as leader; optional: 1 GiB, or a twentieth of the
	// disk where that is less.
	MinFreeBytes int64
	// Disks are directories on the file systems that have to have room; optional:
	// DataDir.
	Disks []string

	// SnapshotBytes of log trigger a snapshot; optional: 256 MiB.
	SnapshotBytes int64
	// TrailingBytes of log are kept behind a snapshot, though not fewer than 16
	// entries; optional: what was logged in the last ten minutes, from 256 MiB to 2 GiB.
	TrailingBytes int64

	// statFS replaces the operating system's word for the room on a disk.
	statFS func(dir string) (free, total int64, err error)
	// These are the constants, but for tests.
	maxUnappliedBytes int64
	deadAfter         time.Duration
	exchangeInterval  time.Duration
	gossipSuspicion   int // memberlist's SuspicionMult

	// Simulation is for tests alone.
	Simulation Simulation
}

// Simulation replaces what a node stands on, for tests alone, which put things in
// memory here that fail on purpose. A zero field means the real thing.
type Simulation struct {
	// Listen binds the peer port, to PeerBind.
	Listen func(addr string) (net.Listener, error)
	// Dial opens a connection to another's peer port.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// OpenLog opens the log that is in dir.
	OpenLog func(dir string) (LogFile, error)
	// NoGossip leaves the gossip port closed.
	NoGossip bool
	// TrailingEntries are kept behind a snapshot, whatever they have of bytes.
	TrailingEntries uint64
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.HeartbeatTimeout == 0 {
		c.HeartbeatTimeout = defaultRaftTimeout
	}
	if c.ElectionTimeout == 0 {
		c.ElectionTimeout = max(defaultRaftTimeout, c.HeartbeatTimeout)
	}
	if c.MaxInFlightBytes == 0 {
		c.MaxInFlightBytes = defaultMaxInFlightBytes
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) { panic(err) }
	}
	if c.Clocks == nil {
		c.Clocks = NewClocks(processClock{})
	}
	if c.Versions == nil {
		c.Versions = versionless{}
	}
	if c.GossipKeys == nil {
		c.GossipKeys = keyless{}
	}
	if c.Rotations == nil {
		c.Rotations = noRotations{}
	}
	if c.Auditor == nil {
		c.Auditor = noAuditor{}
	}
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = snapshotBytes
	}
	if c.maxUnappliedBytes == 0 {
		c.maxUnappliedBytes = maxUnappliedBytes
	}
	if c.Removal == nil {
		c.Removal = func() RemovalPolicy { return RemovalPolicy{} }
	}
	if c.deadAfter == 0 {
		c.deadAfter = deadAfter
	}
	if c.exchangeInterval == 0 {
		c.exchangeInterval = min(exchangeInterval, c.HeartbeatTimeout)
	}
	if c.statFS == nil {
		c.statFS = statFS
	}
	c.Simulation.setDefaults()
}

func (s *Simulation) setDefaults() {
	if s.Listen == nil {
		s.Listen = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	if s.Dial == nil {
		s.Dial = dialTCP
	}
	if s.OpenLog == nil {
		s.OpenLog = openBolt
	}
}

func (c *Config) validate() error {
	if c.DataDir == "" {
		return errors.New("a data directory is required")
	}
	if c.MinFreeBytes < 0 {
		return fmt.Errorf("the watermark of free space is %d bytes: it can't be negative", c.MinFreeBytes)
	}
	if c.ElectionTimeout < c.HeartbeatTimeout {
		return fmt.Errorf("the election timeout %s is shorter than the heartbeat timeout %s", c.ElectionTimeout, c.HeartbeatTimeout)
	}
	if n := len(c.GossipKey); n != 0 && n != 16 && n != 24 && n != 32 {
		return fmt.Errorf("the gossip key has %d bytes: 16, 24 or 32 are required", n)
	}
	if c.Certs == nil && !c.Insecure {
		return errors.New("the peer port would speak plain text: give this node certificates, or allow it with --insecure on a network that you trust")
	}
	return nil
}

// noAuditor finds nothing wrong.
type noAuditor struct{}

func (noAuditor) Report() []byte                                     { return nil }
func (noAuditor) Compare(string, map[string]bool, map[string][]byte) {}
func (noAuditor) Diverged(string) bool                               { return false }
