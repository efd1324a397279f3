// Command ceiling is the driver of what Pipesync is made of and nothing more: three
// replicas of hashicorp/raft on raft-boltdb, in one process and over loopback, each of
// which writes the records of an entry blindly into Pebble. There is no HTTP, no key, no
// limit, no TLS, no snapshot, and nothing is read. The settings are the product's.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"pipesync/cluster"
	"pipesync/internal/bench/load"
	"pipesync/storage"
)

const (
	replicas     = 3
	startTimeout = time.Minute
	applyTimeout = time.Minute
	pollInterval = 10 * time.Millisecond
	// There is no more to compact when for so long nothing was.
	quietFor = time.Second
)

var errNoLeader = errors.New("there is no leader")

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ceiling:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	dir := flag.String("dir", "", "directory for the replicas' data")
	flag.Parse()
	d, err := start(*dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return load.Serve(context.Background(), os.Stdin, os.Stdout, d.do)
}

type driver struct {
	replicas []*replica
	records  *load.Records
}

// replica is a state machine that writes what it is told.
type replica struct {
	raft      *raft.Raft // nil: not started
	transport *raft.NetworkTransport
	log       *raftboltdb.BoltStore
	state     *pebble.DB
}

// start returns when there is a leader.
func start(dir string) (d *driver, err error) {
	d = &driver{records: load.NewRecords()}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	var servers []raft.Server
	for i := range replicas {
		r, err := newReplica(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return d, err
		}
		d.replicas = append(d.replicas, r)
		servers = append(servers, raft.Server{ID: raft.ServerID(fmt.Sprint(i)), Address: r.transport.LocalAddr()})
	}
	for i, r := range d.replicas {
		if err := r.start(servers[i].ID, servers); err != nil {
			return d, err
		}
	}
	for deadline := time.Now().Add(startTimeout); d.leader() == nil; time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			return d, errNoLeader
		}
	}
	return d, nil
}

// newReplica opens what is on disk, and a port. What it has opened is closed if it fails.
func newReplica(dir string) (_ *replica, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &replica{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.log, err = raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "raft.db"), BoltOptions: cluster.BoltTuning()}); err != nil {
		return nil, err
	}
	if r.state, err = openState(filepath.Join(dir, "state")); err != nil {
		return nil, err
	}
	r.transport, err = raft.NewTCPTransportWithConfig("127.0.0.1:0", nil, transportConfig())
	return r, err
}

func transportConfig() *raft.NetworkTransportConfig {
	c := cluster.TransportTuning()
	c.Logger = hclog.NewNullLogger()
	return c
}

func openState(dir string) (*pebble.DB, error) {
	o := storage.PebbleTuning()
	o.Cache, o.Logger = pebble.NewCache(storage.BlockCacheBytes), quiet{}
	defer o.Cache.Unref() // the database holds a reference of its own
	return pebble.Open(dir, o)
}

func (r *replica) start(id raft.ServerID, servers []raft.Server) error {
	config := cluster.RaftTuning()
	config.LocalID, config.Logger = id, hclog.NewNullLogger()
	cached := cluster.NewLogCache(r.log)
	snapshots := raft.NewDiscardSnapshotStore()
	if err := raft.BootstrapCluster(config, cached, r.log, snapshots, r.transport, raft.Configuration{Servers: servers}); err != nil {
		return err
	}
	var err error
	r.raft, err = raft.NewRaft(config, r, cached, r.log, snapshots, r.transport)
	return err
}

// close closes what is open.
func (r *replica) close() error {
	var errs []error
	if r.raft != nil {
		errs = append(errs, r.raft.Shutdown().Error())
	}
	if r.transport != nil {
		errs = append(errs, r.transport.Close())
	}
	if r.state != nil {
		errs = append(errs, r.state.Close())
	}
	if r.log != nil {
		errs = append(errs, r.log.Close())
	}
	return errors.Join(errs...)
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// Apply writes the records of an entry.
func (r *replica) Apply(entry *raft.Log) any {
	batch := r.state.NewBatchWithSize(2 * len(entry.Data))
	for rest := entry.Data; len(rest) > 0; {
		var key, value []byte
		key, rest = field(rest)
		value, rest = field(rest)
		if err := batch.Set(key, value, nil); err != nil {
			return err
		}
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	return batch.Close()
}

// field cuts off what is as long as the 4 bytes before it say.
func field(text []byte) (value, rest []byte) {
	n := 4 + binary.LittleEndian.Uint32(text)
	return text[4:n], text[n:]
}

func encode(batch []load.Record) (entry []byte) {
	for _, r := range batch {
		for _, text := range []string{r.ID, r.Data} {
			entry = binary.LittleEndian.AppendUint32(entry, uint32(len(text)))
			entry = append(entry, text...)
		}
	}
	return entry
}

// Snapshot is never called.
func (*replica) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.ErrUnsupported }

// Restore is never called.
func (*replica) Restore(io.ReadCloser) error { return errors.ErrUnsupported }

func (d *driver) leader() *raft.Raft {
	for _, r := range d.replicas {
		if r.raft.State() == raft.Leader {
			return r.raft
		}
	}
	return nil
}

func (d *driver) close() error {
	var errs []error
	for _, r := range d.replicas {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

func (d *driver) do(ctx context.Context, j load.Job) (load.Figures, error) {
	if j.Kind == load.Read || j.To != load.Leader {
		return load.Figures{}, fmt.Errorf("%+v: it only writes, at the leader", j)
	}
	batches, err := d.records.Batches(j)
	if err != nil {
		return load.Figures{}, err
	}
	entries := make([][]byte, len(batches))
	for i, b := range batches {
		entries[i] = encode(b)
	}
	leader := d.leader()
	if leader == nil {
		return load.Figures{}, errNoLeader
	}
	figures, err := load.Run(ctx, j, func(_ context.Context, _, request int) error {
		done := leader.Apply(entries[request], applyTimeout)
		if err := done.Error(); err != nil {
			return err
		}
		err, _ := done.Response().(error)
		return err
	})
	d.settle()
	return figures, err
}

// settle returns when no replica compacts any more, so that nobody else pays for it.
func (d *driver) settle() {
	for quiet := time.Now(); time.Since(quiet) < quietFor; time.Sleep(pollInterval) {
		for _, r := range d.replicas {
			if r.state.Metrics().Compact.NumInProgress > 0 {
				quiet = time.Now()
			}
		}
	}
}
