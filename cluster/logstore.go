package cluster

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"pipesync/internal/durable"
)

// raftDirName in the data directory has Raft's log.
const (
	raftDirName = "raft"
	logFileName = "raft.db"
)

// boltOpenTimeout bounds the wait for another process's lock on raft.db.
const boltOpenTimeout = 3 * time.Second

// LogFile keeps Raft's log and its variables. What a write has stored when it
// returns survives a crash; of one that hasn't returned all survives, or nothing.
type LogFile interface {
	raft.LogStore
	raft.StableStore
	io.Closer
}

func openBolt(dir string) (LogFile, error) {
	store, err := openMapped(raftboltdb.Options{Path: filepath.Join(dir, logFileName), BoltOptions: BoltTuning()})
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if err := durable.SyncDir(dir); err != nil { // bbolt syncs the file alone
		return nil, errors.Join(fmt.Errorf("opening the log: %w", err), store.Close())
	}
	return store, nil
}

// logStore is the log file as Raft gets it: each read verified, each write watched,
// the bytes counted.
type logStore struct {
	file      LogFile
	metered   *meteredLog
	scan      *startScan
	log       raft.LogStore
	variables raft.StableStore
	alarm     *rotAlarm
}

// newLogStore takes file over. floor tells the index of the newest snapshot.
func newLogStore(file LogFile, fatal func(error), floor func() (uint64, error)) *logStore {
	guard, alarm := newDiskGuard(fatal), &rotAlarm{fatal: fatal}
	sealed := &sealedLog{LogStore: &guardedLog{file, guard}, alarm: alarm, floor: floor}
	metered := &meteredLog{LogStore: sealed}
	scan := newStartScan(NewLogCache(metered), file, metered)
	return &logStore{
		file: file, metered: metered, scan: scan, log: scan, alarm: alarm,
		variables: &sealedVariables{store: &guardedVariables{file, guard}, alarm: alarm},
	}
}

// meteredLog counts what is appended, which is what snapshots are triggered by.
type meteredLog struct {
	raft.LogStore
	bytes   atomic.Int64 // appended since the last snapshot
	entries atomic.Int64
}

func (l *meteredLog) count(entries ...*raft.Log) {
	var n int64
	for _, e := range entries {
		n += entryBytes(e)
	}
	l.countBytes(n, len(entries))
}

func (l *meteredLog) countBytes(bytes int64, entries int) {
	l.bytes.Add(bytes)
	l.entries.Add(int64(entries))
}

func (l *meteredLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *meteredLog) StoreLogs(entries []*raft.Log) error {
	if err := l.LogStore.StoreLogs(entries); err != nil {
		return err
	}
	l.count(entries...)
	return nil
}
