package simcluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// maxSyncTime is how long a write to the log takes until it is on the disk.
const maxSyncTime = 2 * time.Millisecond

// logData is what Raft has stored.
type logData struct {
	logs        map[uint64]*raft.Log
	first, last uint64 // 0 and 0: empty
	variables   map[string][]byte
}

func newLogData() *logData {
	return &logData{logs: make(map[uint64]*raft.Log), variables: make(map[string][]byte)}
}

func (d *logData) clone() *logData {
	return &logData{maps.Clone(d.logs), d.first, d.last, maps.Clone(d.variables)}
}

// logFile is Raft's log and variables on a disk in memory, a cluster.LogFile. A
// write is on the disk some time after it began, all at once: a crash in between
// takes it or leaves it.
type logFile struct {
	writing chan struct{} // holds a token while there is a write

	mu       sync.Mutex
	rng      *rand.Rand
	data     *logData
	underway func(*logData) // the write that isn't on the disk yet
	stalled  chan struct{}  // not nil: writes wait for its end
}

func newLogFile(seed uint64, data *logData) *logFile {
	return &logFile{writing: make(chan struct{}, 1), rng: rand.New(rand.NewPCG(seed, seed)), data: data}
}

// crash returns what a crash now leaves. Whoever writes on, does so to the dead
// file. While meanwhile runs nothing changes.
func (f *logFile) crash(meanwhile func()) (left *logData) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left = f.data.clone()
	meanwhile()
	if f.underway != nil && f.rng.IntN(2) == 0 {
		f.underway(left)
	}
	return left
}

// stall makes writes wait, or lets them go on.
func (f *logFile) stall(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case on && f.stalled == nil:
		f.stalled = make(chan struct{})
	case !on && f.stalled != nil:
		close(f.stalled)
		f.stalled = nil
	}
}

// write sleeps with no mutex held: in fake time nobody would wake up.
func (f *logFile) write(change func(*logData)) error {
	f.writing <- struct{}{}
	defer func() { <-f.writing }()
	f.mu.Lock()
	f.underway = change
	took := time.Duration(f.rng.Int64N(int64(maxSyncTime)))
	f.mu.Unlock()
	time.Sleep(took)
	for {
		f.mu.Lock()
		stalled := f.stalled
		if stalled == nil {
			break
		}
		f.mu.Unlock()
		<-stalled
	}
	defer f.mu.Unlock()
	change(f.data)
	f.underway = nil
	return nil
}

func (f *logFile) FirstIndex() (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.data.first, nil
}

func (f *logFile) LastIndex() (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.data.last, nil
}

func (f *logFile) GetLog(index uint64, out *raft.Log) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, ok := f.data.logs[index]
	if !ok {
		return raft.ErrLogNotFound
	}
	*out = *l
	return nil
}

func (f *logFile) StoreLog(l *raft.Log) error { return f.StoreLogs([]*raft.Log{l}) }

func (f *logFile) StoreLogs(logs []*raft.Log) error {
	stored := make([]*raft.Log, len(logs))
	for i, l := range logs {
		entry := *l
		stored[i] = &entry
	}
	return f.write(func(d *logData) {
		for _, l := range stored {
			d.logs[l.Index] = l
			if d.first == 0 || l.Index < d.first {
				d.first = l.Index
			}
			d.last = max(d.last, l.Index)
		}
	})
}

func (f *logFile) DeleteRange(low, high uint64) error {
	return f.write(func(d *logData) {
		for i := low; i <= high; i++ {
			delete(d.logs, i)
		}
		if low <= d.first {
			d.first = high + 1
		}
		if high >= d.last {
			d.last = low - 1
		}
		if d.first > d.last {
			d.first, d.last = 0, 0
		}
	})
}

// errNotFound has the text that Raft looks for.
var errNotFound = errors.New("not found")

func (f *logFile) Set(key, value []byte) error {
	stored := bytes.Clone(value)
	return f.write(func(d *logData) { d.variables[string(key)] = stored })
}

func (f *logFile) Get(key []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, ok := f.data.variables[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return bytes.Clone(value), nil
}

func (f *logFile) SetUint64(key []byte, value uint64) error {
	return f.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

func (f *logFile) GetUint64(key []byte) (uint64, error) {
	value, err := f.Get(key)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

func (f *logFile) Close() error { return nil }
