package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
)

var restoredFaults = []fault{
	{kind: "backup restored and served", begin: onAny(serveBackup)},
}

// serveBackup takes a backup of a node while clients write, makes another cluster of it, in
// the hub, and has clients read there what that has: the state of the backup's index.
func serveBackup(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (_ *broken, err error) {
	b := &broken{on: nodes, heal: nothing}
	dir, err := os.MkdirTemp(filepath.Dir(n.cluster.AdminTokenFile), "restored-")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "backup")
	index, err := download(ctx, nodes[0], file)
	if err != nil {
		return b, nil // it is slow just now, or knows no leader
	}
	restored, stop, err := n.restore(ctx, dir, file)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	reads := 0
	for _, t := range n.tenants {
		for _, namespace := range everywhere {
			if err := n.readServed(ctx, restored, t, namespace, index); err != nil {
				return b, err
			}
			reads++
		}
	}
	status, err := restored.Status(ctx)
	if err != nil {
		return b, err
	}
	b.proof = fmt.Sprintf("a cluster with the id %s serves %d reads of the state at index %d", status.ClusterID, reads, index)
	return b, nil
}

// restore starts a node on what a backup has, and awaits that it serves.
func (n *nemesis) restore(ctx context.Context, dir, file string) (_ *client.Client, stop func() error, err error) {
	data := filepath.Join(dir, "data")
	addrs, err := testcluster.FreePorts(3)
	if err != nil {
		return nil, nil, err
	}
	settings := []string{"--data-dir", data, "--node-id", "restored", "--http-addr", addrs[0], "--peer-addr", addrs[1], "--gossip-addr", addrs[2],
		"--admin-token-file", n.cluster.AdminTokenFile}
	if err := n.cluster.Run(append([]string{"restore", file}, settings...)...); err != nil {
		return nil, nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(n.binary, append([]string{"serve"}, settings...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = testcluster.CleanEnv(), log, log
	process, err := testcluster.StartProcess(cmd, log)
	if err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	at := client.New(client.Options{Addrs: []string{addrs[0]}, AdminToken: n.cluster.AdminToken, Timeout: attemptSeconds * time.Second})
	stop = func() error { at.Close(); return process.Kill9() }
	if err := testcluster.Await(ctx, "the restored cluster", at.Ready); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return at, stop, nil
}

// readServed notes a read as one of the index of the backup: nobody writes there.
func (n *nemesis) readServed(ctx context.Context, at *client.Client, t *tenant, namespace string, index uint64) error {
	op := &history.Op{Client: int(n.clients.ids.Add(1)), Org: t.org, Node: "a restored one", Requests: 1, Invoked: n.now(), Outcome: history.OK,
		Read: &history.Read{Namespace: namespace, Index: index}}
	own := client.New(client.Options{Addrs: at.Addrs(), APIKey: t.key, Timeout: attemptSeconds * time.Second})
	defer own.Close()
	served, err := readPage(ctx, own, t.store, op.Read)
	if err == nil && served < index {
		err = fmt.Errorf("it serves index %d, and the backup is of %d", served, index)
	}
	// Where there is no such namespace, that is a read of nothing.
	if err != nil && codeOf(err) != "NAMESPACE_NOT_FOUND" {
		return fmt.Errorf("reading %s of %s from what was restored: %w", namespace, t.org, err)
	}
	n.clients.done(op)
	return nil
}
