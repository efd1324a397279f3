package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// boltOpenTimeout bounds the wait for another process's lock on raft.db.
const boltOpenTimeout = 3 * time.Second

// logCacheEntries is small because Raft counts entries and ours may be
// megabytes: 16 of them are what a follower that keeps up still needs.
const logCacheEntries = 16

func openBolt(dir string) (*raftboltdb.BoltStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	store, err := raftboltdb.New(raftboltdb.Options{
		Path: filepath.Join(dir, "raft.db"),
		BoltOptions: &bbolt.Options{
			Timeout: boltOpenTimeout,
			// The free list of a log that is cut often is large, and is rebuilt
			// at open in less time than all the writes of it take.
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return store, nil
}

// meteredLog counts what is appended, which is what snapshots are triggered
// by, and reports a failed write as fatal: after a failed fsync the kernel may
// answer the next one with success though the data is gone.
type meteredLog struct {
	raft.LogStore
	fatal   func(error)
	bytes   atomic.Int64 // appended since the last snapshot
	entries atomic.Int64
	measure atomic.Uint64 // the next entry to count when Raft reads it; 0: none
}

// measureFrom counts the entries from index on while Raft, which reads each of
// them when it starts, does so: what an earlier process has appended behind the
// last snapshot. measured ends that.
func (l *meteredLog) measureFrom(index uint64) { l.measure.Store(index) }
func (l *meteredLog) measured()                { l.measure.Store(0) }

func (l *meteredLog) GetLog(index uint64, e *raft.Log) error {
	err := l.LogStore.GetLog(index, e)
	if err == nil && l.measure.CompareAndSwap(index, index+1) {
		l.count([]*raft.Log{e})
	}
	return err
}

func (l *meteredLog) count(entries []*raft.Log) {
	var n int64
	for _, e := range entries {
		n += int64(len(e.Data) + len(e.Extensions))
	}
	l.bytes.Add(n)
	l.entries.Add(int64(len(entries)))
}

func (l *meteredLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *meteredLog) StoreLogs(entries []*raft.Log) error {
	if err := l.LogStore.StoreLogs(entries); err != nil {
		err = fmt.Errorf("appending to the log: %w", err)
		// A full disk is no rot: bbolt rolls back and goes on once there is room.
		if !errors.Is(err, syscall.ENOSPC) {
			l.fatal(err)
		}
		return err
	}
	l.count(entries)
	return nil
}
