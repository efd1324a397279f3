package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"pipesync/client"
	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
)

const (
	startSeconds = 120 // until the cluster serves
	endSeconds   = 180 // until all is known in the end
	// pollEvery is how often nodes are asked who leads.
	pollEvery = 250 * time.Millisecond
	// adminSeconds bounds one call of the harness itself.
	adminSeconds = 2
	// probeOrg is the organization of the harness itself.
	probeOrg = "org_probe"
)

// run is one run while it lasts.
type run struct {
	options
	lab     *netns.Lab
	cluster *testcluster.Cluster
	out     io.Writer
	began   time.Time
	clients *clients
	tenants []*tenant
	probe   *tenant
	// previous is the program of the previous release, if members run that too.
	previous string
	fillers  []*tenant // of the probe's organization, each with a key of its own
	burster  *tenant
	keyed    *tenant
	bursts   *bursts

	mu   sync.Mutex // guards what follows
	hist history.History
	seen map[history.Leader]bool
}

// inHub does the run, and says what it has found.
func inHub(ctx context.Context, o options, out io.Writer) error {
	r := &run{options: o, lab: &netns.Lab{}, out: out, bursts: newBursts(), seen: map[history.Leader]bool{}}
	if err := json.Unmarshal([]byte(o.lab), r.lab); err != nil {
		return err
	}
	if err := shareMounts(); err != nil {
		return err
	}
	r.hist = history.History{Seed: o.seed, Nodes: o.nodes, Limits: map[string]int{}, Window: o.window}
	if r.options.out == "" {
		root, err := testcluster.ModuleRoot(ctx)
		if err != nil {
			return err
		}
		r.options.out = filepath.Join(root, "test", "jepsen", "store", fmt.Sprint(o.seed))
	}
	dir, err := os.MkdirTemp("", "pipesync-jepsen-")
	if err != nil {
		return err
	}
	r.say("seed %d, %d nodes, %v", o.seed, o.nodes, o.time)
	err = r.start(ctx, dir)
	if err == nil {
		if err = r.use(ctx); err == nil {
			// What there is to tell is told also where not all can be found out.
			err = r.end(ctx)
			err = errors.Join(r.report(), err)
		}
		// What was left in the middle of a fault doesn't stop for a farewell.
		err = errors.Join(err, r.cluster.Alarms(), r.cluster.Close())
	}
	if err != nil {
		return fmt.Errorf("%w (the nodes' logs are in %s)", err, dir)
	}
	for _, n := range slices.Concat(r.cluster.Nodes, r.cluster.Spares) {
		if err := unmountDisk(ctx, diskOf(n)); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

func (r *run) say(format string, args ...any) {
	at := time.Duration(0)
	if !r.began.IsZero() {
		at = r.now()
	}
	fmt.Fprintf(r.out, "%8.3f %s\n", at.Seconds(), fmt.Sprintf(format, args...))
}

// now is the time of the history.
func (r *run) now() time.Duration { return time.Since(r.began) }

func (r *run) start(ctx context.Context, dir string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startSeconds*time.Second)
	defer cancel()
	if err := r.programs(ctx, dir); err != nil {
		return err
	}
	cfg := testcluster.Config{Binary: cmp.Or(r.previous, r.binary), Dir: dir, Nodes: r.nodes, Env: func(node int) []string {
		return append(r.environment(node), snapshotEnvironment()...)
	}}
	for i, h := range r.lab.Hosts {
		disk := filepath.Join(dir, fmt.Sprintf("disk-%d", i+1))
		cfg.Hosts = append(cfg.Hosts, testcluster.Host{IP: h.IP, Run: netns.In(h.Namespace), Disk: disk})
		if err := makeDisk(disk); err != nil {
			return err
		}
	}
	if r.cluster, err = testcluster.Start(ctx, cfg); err != nil {
		return err
	}
	for range spareHosts {
		if _, err := r.cluster.NewSpare(); err != nil {
			return errors.Join(err, r.cluster.Close())
		}
	}
	r.began = time.Now()
	r.clients = newClients(r)
	if _, err := r.cluster.Nodes[0].Client().SetSettings(ctx, client.Figures{
		"window_ms": uint64(r.window.Milliseconds()), "requests_per_window": uint64(r.scaled(defaultLimit)),
	}); err != nil {
		return errors.Join(err, r.cluster.Close())
	}
	for i := range r.orgs {
		limit := r.scaled(defaultLimit)
		if i%8 == 7 { // these are among those who try to exceed it
			limit = r.scaled(raisedLimit)
		}
		t, err := r.newTenant(ctx, fmt.Sprintf("org_%d", i), limit, attemptSeconds*time.Second)
		if err != nil {
			return errors.Join(err, r.cluster.Close())
		}
		r.tenants = append(r.tenants, t)
	}
	r.probe, err = r.newTenant(ctx, probeOrg, 10_000, attemptSeconds*time.Second)
	for range fillerKeys {
		if err == nil {
			var t *tenant
			t, err = r.newTenant(ctx, probeOrg, 10_000, attemptSeconds*time.Second)
			r.fillers = append(r.fillers, t)
		}
	}
	if err == nil {
		r.burster, err = r.newTenant(ctx, burstOrg, burstLimit, burstAttemptSeconds*time.Second)
	}
	if err == nil {
		r.keyed, err = r.newTenant(ctx, keysOrg, keysLimit, attemptSeconds*time.Second)
	}
	if err != nil {
		return errors.Join(err, r.cluster.Close())
	}
	return nil
}

// scaled is a limit of a minute's window for the window of the run.
func (o options) scaled(limit int) int {
	return max(1, int(time.Duration(limit)*o.window/time.Minute))
}

// use has clients and faults go on until the time is over.
func (r *run) use(ctx context.Context) error {
	going, stop := context.WithTimeout(ctx, r.time)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { r.watchLeaders(going) })
	for i, t := range r.tenants {
		for j := range clientsPerTenant {
			all.Go(func() {
				newWorker(r, t, rand.New(rand.NewPCG(r.seed, uint64(i*clientsPerTenant+j))), i%4 == 3).run(going)
			})
		}
	}
	for i := range burstWriters + burstReaders {
		all.Go(func() {
			w := newWorker(r, r.burster, rand.New(rand.NewPCG(r.seed, uint64(1<<16+i))), false)
			if i < burstWriters {
				w.burstWrites(going, i < largeWriters)
			} else {
				w.burstReads(going)
			}
		})
	}
	for i := range keysClients {
		all.Go(func() {
			newWorker(r, r.keyed, rand.New(rand.NewPCG(r.seed, uint64(1<<17+i))), false).useKeys(going)
		})
	}
	err := r.breakThings(going)
	stop()
	all.Wait()
	r.clients.settling.Wait()
	return err
}

// watchLeaders notes whom each node takes for the leader.
func (r *run) watchLeaders(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		var asking sync.WaitGroup
		for _, n := range r.cluster.Nodes {
			asking.Go(func() {
				ask, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
				defer cancel()
				status, err := n.Client().Status(ask)
				if err != nil || status.Leader == nil {
					return
				}
				l := history.Leader{Node: n.ID, Term: status.Term, Leader: status.Leader.ID}
				r.mu.Lock()
				defer r.mu.Unlock()
				if n.Binary == r.binary && !r.seen[l] { // the previous release promises nothing
					r.seen[l] = true
					l.Seen = r.now()
					r.hist.Leaders = append(r.hist.Leaders, l)
				}
			})
		}
		asking.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// end finds out what is open, reads everything, and asks all nodes for what they have.
func (r *run) end(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, endSeconds*time.Second)
	defer cancel()
	defer func() {
		if err != nil {
			r.hist.Incomplete = err.Error()
		}
	}()
	r.say("settling %d syncs whose outcome is open", len(r.clients.open))
	serving, err := r.awaitServing(ctx)
	if err != nil {
		return err
	}
	if err := r.clients.settle(ctx, serving); err != nil {
		return err
	}
	if err := r.clients.readAll(ctx, r.burster, serving[:1], r.clients.doubtful); err != nil {
		return err
	}
	for _, t := range r.tenants {
		if err := r.clients.readAll(ctx, t, serving, everywhere); err != nil {
			return err
		}
	}
	for _, t := range append(r.tenants, r.burster, r.keyed) {
		if err := r.readCommits(ctx, t, serving[0]); err != nil {
			return err
		}
	}
	if err := r.compareNodes(ctx, serving[0]); err != nil {
		return err
	}
	return r.followChanges(ctx, serving)
}

// awaitServing waits until all nodes serve, and returns their numbers. Those that
// know of themselves that their state isn't the others' never will, and are left out.
func (r *run) awaitServing(ctx context.Context) (serving []int, err error) {
	for i, n := range r.cluster.Nodes {
		diverged := false
		err := testcluster.Await(ctx, "the readiness of "+n.ID, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
			defer cancel()
			err := n.Client().Ready(ctx)
			if err != nil {
				status, _ := n.Client().Status(ctx)
				diverged = divergence(status) != ""
			}
			if diverged || !n.Running() {
				return nil
			}
			return err
		})
		switch {
		case err != nil:
			return nil, err
		case !n.Running():
			return nil, fmt.Errorf("%s has ended by itself", n.ID)
		case !diverged:
			serving = append(serving, i)
		}
	}
	if len(serving) == 0 {
		return nil, errors.New("no node serves")
	}
	return serving, nil
}

// divergence is what a node says of itself if its state isn't the others'.
func divergence(status client.Status) string {
	for _, a := range status.Alarms {
		if a.Code == "STATE_DIVERGED" {
			return a.Message
		}
	}
	return ""
}

// readCommits reads an organization's history through a node, newest first.
func (r *run) readCommits(ctx context.Context, t *tenant, node int) error {
	o := client.ReadOptions{Limit: 1000}
	for {
		page, err := t.at[node].Syncs(ctx, "", o)
		if err != nil {
			return fmt.Errorf("reading the history of %s: %w", t.org, err)
		}
		for _, s := range page.Syncs {
			r.hist.Commits = append(r.hist.Commits, history.Commit{Org: t.org, SyncID: s.SyncID, Index: s.Index,
				KeyID: s.KeyID, Namespaces: slices.Sorted(maps.Keys(s.ByNamespace))})
		}
		if page.NextCursor == nil {
			return nil
		}
		o.Cursor = *page.NextCursor
	}
}

// compareNodes has all nodes read all their rows as of one entry, which one of them
// proposes.
func (r *run) compareNodes(ctx context.Context, node int) error {
	begun, err := r.cluster.Nodes[node].Client().Scrub(ctx)
	if err != nil {
		return fmt.Errorf("having the nodes read all their rows: %w", err)
	}
	for _, n := range r.cluster.Nodes {
		err := testcluster.Await(ctx, "the scrub of "+n.ID, func(ctx context.Context) error {
			status, err := n.Client().Status(ctx)
			if err != nil {
				return err
			}
			// One that has found out by now doesn't tell its hash any more.
			if why := divergence(status); why != "" {
				r.hist.Finals = append(r.hist.Finals, history.Final{Node: n.ID, Diverged: why})
				return nil
			}
			if s := status.State.Scrub; s == nil || s.Index < begun.Index {
				return fmt.Errorf("the last one is %+v", s)
			}
			r.hist.Finals = append(r.hist.Finals, history.Final{Node: n.ID, Index: status.State.Scrub.Index, Hash: status.State.Scrub.Hash})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// report checks the history, writes all down, and returns an error where a promise was
// broken.
func (r *run) report() error {
	slices.SortStableFunc(r.hist.Ops, func(a, b history.Op) int { return int(a.Invoked - b.Invoked) })
	for i := range r.hist.Ops {
		r.hist.Ops[i].ID = i
	}
	return checked(&r.hist, r.options.out, r.out)
}
