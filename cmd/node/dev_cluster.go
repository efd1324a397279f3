package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"pipesync/client"
	"pipesync/cluster"
	"pipesync/cluster/certs"
)

const (
	devNodeID    = "node%d"
	devOrg       = "org_abc123"
	devStore     = "vs_demo"
	maxDevStart  = 2 * time.Minute
	devReadyPoll = 50 * time.Millisecond
)

// devCluster is several nodes in one process, and what they share.
type devCluster struct {
	dir        string
	state      devState
	fresh      bool // the cluster has to be formed yet
	adminToken string
	gossipKey  []byte
	log        *slog.Logger
	fatal      func(error)
	lock       *dirLock
	nodes      []*node
}

// openDev locks dir and reads or makes what the nodes share. basePort is that of
// the first HTTP port; negative: as the last time.
func openDev(ctx context.Context, dir string, nodes, basePort int, log *slog.Logger, fatal func(error)) (*devCluster, error) {
	lock, err := lockDir(ctx, dir, maxLockWait)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	d := &devCluster{dir: dir, lock: lock, log: log, fatal: fatal}
	if err := d.load(nodes, basePort); err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return d, nil
}

func (d *devCluster) load(nodes, basePort int) error {
	var err error
	if d.adminToken, err = readOrMakeSecret(filepath.Join(d.dir, adminTokenName), mintAdminToken); err != nil {
		return fmt.Errorf("reading the admin token: %w", err)
	}
	text, err := readOrMakeSecret(filepath.Join(d.dir, "gossip.key"), mintGossipKey)
	if err == nil {
		d.gossipKey, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil {
		return fmt.Errorf("reading the gossip key: %w", err)
	}
	state, found, err := loadDevState(d.dir)
	if err != nil {
		return err
	}
	d.state, d.fresh = state, !found
	if found {
		if len(state.Nodes) != nodes {
			return fmt.Errorf("%s has a cluster of %d nodes: say --nodes %d, or name another directory", d.dir, len(state.Nodes), len(state.Nodes))
		}
		return d.state.moveHTTP(basePort)
	}
	d.state.Version = devStateVersion
	d.state.Nodes, err = newDevPorts(nodes, basePort)
	if err != nil {
		return err
	}
	return d.state.save(d.dir)
}

// start starts all nodes. The cluster isn't ready yet, and run must follow.
func (d *devCluster) start(ctx context.Context) error {
	if err := d.makeCerts(); err != nil {
		return err
	}
	for i := range d.state.Nodes {
		c := d.nodeConfig(i)
		n, err := startNode(ctx, c)
		if errors.Is(err, cluster.ErrRemoved) {
			d.log.Warn("leaving out a node that was removed from the cluster", "node", c.NodeID)
			continue
		}
		if err != nil {
			return fmt.Errorf("starting %s: %w", c.NodeID, err)
		}
		d.nodes = append(d.nodes, n)
		d.state.Nodes[i].HTTP = n.listener.Addr().String()
	}
	if len(d.nodes) == 0 {
		return fmt.Errorf("all nodes of %s were removed from the cluster: name another directory", d.dir)
	}
	return d.state.save(d.dir)
}

// makeCerts makes a CA for the cluster, and a certificate for each node that has
// none yet.
func (d *devCluster) makeCerts() error {
	dirs := make([]string, len(d.state.Nodes))
	for i := range dirs {
		c := d.nodeConfig(i)
		dirs[i] = c.certsDir()
	}
	ca, err := certs.ReadAuthority(dirs[0])
	if errors.Is(err, certs.ErrNoAuthority) {
		ca, err = certs.NewAuthority(cluster.NewClusterID(), time.Now())
	}
	for i := range dirs {
		if err == nil {
			err = certs.Provide(dirs[i], ca, fmt.Sprintf(devNodeID, i+1), time.Now())
		}
	}
	if err != nil {
		return fmt.Errorf("making the nodes' certificates: %w", err)
	}
	return nil
}

func (d *devCluster) nodeConfig(i int) nodeConfig {
	ports := d.state.Nodes[i]
	cfg := defaultConfig()
	cfg.NodeID = fmt.Sprintf(devNodeID, i+1)
	cfg.DataDir = filepath.Join(d.dir, cfg.NodeID)
	cfg.HTTP.Addr, cfg.Peer.Addr, cfg.Gossip.Addr = ports.HTTP, ports.Peer, ports.Gossip
	// A start that was cut short is taken up again: a member ignores both.
	if cfg.Bootstrap = i == 0; !cfg.Bootstrap {
		cfg.Join = d.state.Nodes[0].Peer
	}
	return nodeConfig{
		Config:  cfg,
		secrets: secrets{gossipKey: d.gossipKey, joinToken: d.adminToken, adminToken: d.adminToken},
		log:     d.log.With("node", cfg.NodeID),
		fatal:   d.fatal,
	}
}

// run runs the nodes until ctx ends or one of them fails. A node that is removed
// from the cluster leaves the others running.
func (d *devCluster) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	faults := make(chan error, len(d.nodes))
	for _, n := range d.nodes {
		go func() {
			err := n.run(ctx)
			if errors.Is(err, cluster.ErrRemoved) {
				d.log.Warn("one node fewer", "reason", err, "error", n.stop(err))
				err = nil
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", n.NodeID, err)
				cancel(err)
			}
			faults <- err
		}()
	}
	var all []error
	for range d.nodes {
		all = append(all, <-faults)
	}
	return errors.Join(all...)
}

// awaitReady returns once every node has caught up and knows a leader, and in a
// new cluster all of them vote.
func (d *devCluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxDevStart, fmt.Errorf("not ready after %s; --log-level info tells more", maxDevStart))
	defer cancel()
	for !d.ready() {
		if err := pause(ctx, devReadyPoll); err != nil {
			return fmt.Errorf("waiting for the cluster to be ready: %w", err)
		}
	}
	return nil
}

func (d *devCluster) ready() bool {
	for _, n := range d.members() {
		s := n.cluster.Status()
		if !s.Ready || d.fresh && s.Voters < len(d.nodes) {
			return false
		}
		if founded, err := n.founded(); err != nil || !founded {
			return false
		}
	}
	return true
}

// members are the nodes that have not been removed.
func (d *devCluster) members() []*node {
	return slices.DeleteFunc(slices.Clone(d.nodes), (*node).isRemoved)
}

// apiKey returns the key of the demonstration organization, made on the first start.
func (d *devCluster) apiKey(ctx context.Context) (string, error) {
	if d.state.APIKey != "" {
		return d.state.APIKey, nil
	}
	c := client.New(client.Options{Addrs: d.httpAddrs(), AdminToken: d.adminToken})
	defer c.Close()
	key, err := c.CreateKey(ctx, client.KeyRequest{OrganizationID: devOrg, VectorStoreID: devStore, Name: "dev"})
	if err != nil {
		return "", fmt.Errorf("making an API key: %w", err)
	}
	d.state.APIKey = key.Key
	return key.Key, d.state.save(d.dir)
}

func (d *devCluster) httpAddrs() []string {
	var addrs []string
	for _, n := range d.members() {
		addrs = append(addrs, n.bound().HTTP)
	}
	return addrs
}

// stop stops all nodes at once: none is left to take over from another.
func (d *devCluster) stop(reason error) error {
	faults := make([]error, len(d.nodes))
	var wg sync.WaitGroup
	for i, n := range d.nodes {
		wg.Go(func() { faults[i] = n.stop(reason) })
	}
	wg.Wait()
	return errors.Join(append(faults, d.lock.release())...)
}
