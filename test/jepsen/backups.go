package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"pipesync/fsm"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
)

var backupFaults = []fault{{kind: "backup taken and restored", begin: onAny(backUp)}}

const (
	// backupSeconds bounds a backup, during which clients send as fast as they can.
	backupSeconds = 10
	// backupTries is how often one is taken.
	backupTries = 3
)

// backUp takes backups of a node while it is busy, and reads what is restored of them, as a
// client reads that began with the backup: it has to have all that was acknowledged before.
func backUp(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	b := &broken{on: nodes, heal: nothing}
	read := 0
	for range backupTries {
		n.burst(ctx)
		records, err := n.backUpOnce(ctx, nodes[0])
		if err != nil {
			return b, err
		}
		read += records
	}
	if read > 0 {
		b.proof = fmt.Sprintf("%d records were read of what was restored", read)
	}
	return b, nil
}

func (n *nemesis) backUpOnce(ctx context.Context, node *testcluster.Node) (records int, err error) {
	dir, err := os.MkdirTemp("", "pipesync-backup-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	taken := history.Backup{Node: node.ID, Began: n.now()}
	file, data := filepath.Join(dir, "backup"), filepath.Join(dir, "data")
	if taken.Index, err = download(ctx, node, file); err != nil {
		return 0, nil // it is slow just now
	}
	err = n.cluster.Run("backup", "inspect", file)
	if err == nil {
		err = n.cluster.Run("restore", file, "--data-dir", data)
	}
	if err != nil {
		taken.Problem = err.Error()
	}
	n.mu.Lock()
	n.hist.Backups = append(n.hist.Backups, taken)
	n.mu.Unlock()
	if err != nil {
		return 0, nil
	}
	_, records, err = n.readState(filepath.Join(data, stateName), "a backup of "+node.ID, taken.Began, taken.Index)
	return records, err
}

// download writes a backup to a file, and returns its index.
func download(ctx context.Context, node *testcluster.Node, to string) (index uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, backupSeconds*time.Second)
	defer cancel()
	taken, err := node.Client().Backup(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, taken.Body.Close()) }()
	file, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(file, taken.Body)
	return taken.Index, errors.Join(err, file.Close())
}

// readState reads all namespaces of a state that no node runs on, as linearizable reads of
// an index that began at some time; with index 0 as stale ones, of what has been applied,
// which it returns.
func (n *nemesis) readState(dir, node string, began time.Duration, index uint64) (applied uint64, records int, err error) {
	err = viewed(dir, func(view *fsm.View) error {
		applied = view.Applied()
		for _, t := range n.tenants {
			w := &worker{c: n.clients, t: t, id: int(n.clients.ids.Add(1))}
			for _, namespace := range everywhere {
				op := w.begin(0)
				op.Node, op.Invoked, op.Outcome = node, began, history.OK
				op.Read = &history.Read{Namespace: namespace, Linearizable: index != 0, Index: cmp.Or(index, applied)}
				if err := readView(view, t, op.Read); err != nil {
					return err
				}
				records += len(op.Read.Records)
				n.clients.done(op)
			}
		}
		return nil
	})
	return applied, records, err
}

// readView reads the namespace that read names.
func readView(view *fsm.View, t *tenant, read *history.Read) error {
	_, found, err := view.Namespace(t.org, t.store, read.Namespace)
	if err != nil {
		return err
	}
	if read.Missing = !found; !found {
		return nil
	}
	for r, err := range view.Records(t.org, t.store, read.Namespace, 0, "") {
		if err != nil {
			return err
		}
		value, err := valueOf(r.Data)
		if err != nil {
			return err
		}
		read.Records = append(read.Records, history.Record{ID: r.ID, Value: value, Index: r.Index})
	}
	return nil
}
