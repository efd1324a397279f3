package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
)

var installFaults = []fault{{kind: "kill while a snapshot is installed", begin: onAny(killInstalling)}}

// databasesOf are the databases in a node's state: beside the one that is in use that
// which is made of a snapshot to take its place.
func databasesOf(node *testcluster.Node) (names []string) {
	found, err := filepath.Glob(filepath.Join(node.Dir, stateName, "db-*"))
	if err != nil {
		return nil
	}
	for _, path := range found {
		names = append(names, filepath.Base(path))
	}
	return names
}

// killInstalling cuts a member off until it needs a snapshot of the others, and kills it
// as soon as the database of that begins to be there.
func killInstalling(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	node, host := nodes[0], n.host(nodes[0])
	b := &broken{on: nodes, heal: func(ctx context.Context) error {
		if node.Running() {
			return nil
		}
		return node.Start()
	}}
	last, _, err := n.beforeSnapshot(ctx, node)
	if err != nil {
		return b, nil // it may be down
	}
	cutBehind, err := metric(ctx, node, snapshotMetric)
	if err != nil {
		return b, nil
	}
	if err := n.lab.Cut(host); err != nil {
		return b, err
	}
	through, err := n.outgrow(ctx, node, last)
	before := databasesOf(node)
	if err = errors.Join(err, n.lab.Heal(host)); err != nil || !through || len(before) != 1 {
		return b, err
	}
	deadline := time.After(installSeconds * time.Second)
	for len(databasesOf(node)) == 1 {
		select {
		case <-deadline:
			return b, nil
		case <-ctx.Done():
			return b, ctx.Err()
		default: // it is a matter of milliseconds
		}
	}
	if err := node.Kill9(); err != nil {
		return b, err
	}
	current, err := os.ReadFile(filepath.Join(node.Dir, stateName, "CURRENT"))
	if after := databasesOf(node); gone(nodes) && len(after) > 1 {
		b.proof = "the processes are gone, " + strings.Join(after, " and ") + " are there, and in use is " + strings.TrimSpace(string(current))
	}
	return b, errors.Join(err, n.lookAtCrashed(node, cutBehind))
}

// lookAtCrashed reads the state that a process has left which was killed, in a copy. It has
// to be that of some index, not before the snapshot behind which the node has cut its log.
func (n *nemesis) lookAtCrashed(node *testcluster.Node, cutBehind uint64) (err error) {
	dir, err := os.MkdirTemp("", "pipesync-crashed-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied := filepath.Join(dir, stateName)
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(node.Dir, stateName))); err != nil {
		return err
	}
	c := history.Crash{Node: node.ID, At: n.now(), AtLeast: cutBehind}
	if c.Applied, _, err = n.readState(copied, "the disk of "+node.ID, c.At, 0); err != nil {
		c.Problem = err.Error()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hist.Crashes = append(n.hist.Crashes, c)
	return nil
}
