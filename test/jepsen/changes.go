package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"

	"pipesync/fsm"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
)

const (
	stateName = "state"
	// followersPerTenant is how many follow the changes of each organization on each node:
	// the first from the beginning, the others from some sync on.
	followersPerTenant = 3
	changesPerPage     = 100
)

// followChanges ends the nodes that serve, which puts their states on the disk, and reads
// the change index of each: what somebody would be sent who has the records of an earlier
// index.
func (r *run) followChanges(ctx context.Context, serving []int) error {
	var nodes []*testcluster.Node
	for _, i := range serving {
		nodes = append(nodes, r.cluster.Nodes[i])
	}
	if err := each(nodes, func(n *testcluster.Node) error { return n.Stop(ctx) }); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(r.seed, 2<<32))
	begins := map[string][]uint64{}
	for _, op := range r.hist.Ops {
		if op.Sync != nil && op.Outcome == history.OK && !op.Sync.Repeat {
			begins[op.Org] = append(begins[op.Org], op.Sync.Index)
		}
	}
	for _, n := range nodes {
		if err := r.followNode(n, rng, begins); err != nil {
			return fmt.Errorf("reading the changes of %s: %w", n.ID, err)
		}
	}
	return nil
}

func (r *run) followNode(n *testcluster.Node, rng *rand.Rand, begins map[string][]uint64) error {
	return viewed(filepath.Join(n.Dir, stateName), func(view *fsm.View) error {
		for _, t := range r.tenants {
			for i := range followersPerTenant {
				f := history.Following{Node: n.ID, Org: t.org}
				if from := begins[t.org]; i > 0 && len(from) > 0 {
					f.After = from[rng.IntN(len(from))]
				}
				if err := follow(view, t, &f); err != nil {
					return err
				}
				r.hist.Followings = append(r.hist.Followings, f)
			}
		}
		return nil
	})
}

// viewed opens the state in dir, on which no node runs, and looks at it.
func viewed(dir string, look func(*fsm.View) error) (err error) {
	state, err := fsm.Open(fsm.Options{Dir: dir, Fatal: func(err error) { panic(err) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	view, err := state.View()
	if err != nil {
		return err
	}
	defer view.Close()
	return look(view)
}

// follow reads all changes behind f.After.
func follow(view *fsm.View, t *tenant, f *history.Following) error {
	var at fsm.Cursor
	if f.After > 0 {
		at.Since, at.After.Index, at.After.Offset, at.Seen = f.After, f.After, math.MaxUint32, f.After
	}
	for {
		page, err := view.Changes(t.org, t.store, at, changesPerPage)
		if errors.Is(err, fsm.ErrCursorCompacted) {
			f.Compacted = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s from index %d on: %w", t.org, f.After, err)
		}
		for _, c := range page.Changes {
			change := history.Change{Namespace: c.Namespace, Record: history.Record{ID: c.ID, Index: c.Index}, Deleted: c.Deleted}
			if !c.Deleted {
				if change.Value, err = valueOf(c.Data); err != nil {
					return err
				}
			}
			f.Changes = append(f.Changes, change)
		}
		f.Index, at = page.Next.Seen, page.Next
		if page.CaughtUp {
			return nil
		}
		if len(page.Changes) == 0 && page.Reconciling {
			f.Reconciling = true
			return nil
		}
	}
}

func valueOf(data []byte) (int64, error) {
	var record struct{ V int64 }
	if err := json.Unmarshal(data, &record); err != nil {
		return 0, fmt.Errorf("record %q: %w", data, err)
	}
	return record.V, nil
}
