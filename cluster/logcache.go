package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

const (
	// logCacheBytes and logCacheEntries bound what is cached of the log: raft.LogCache
	// counts entries alone, and ours have a hundred bytes or megabytes. Members that keep
	// up and the state machine read the last entries, each of them several times.
	logCacheBytes   = 16 << 20
	logCacheEntries = 4096
)

// logCache has the last entries that were stored, as they were given.
type logCache struct {
	raft.LogStore

	mu      sync.RWMutex
	entries []*raft.Log // of consecutive indexes
	bytes   int64
}

// NewLogCache caches the end of a log.
func NewLogCache(log raft.LogStore) raft.LogStore { return &logCache{LogStore: log} }

// IsMonotonic implements raft.MonotonicLogStore.
func (c *logCache) IsMonotonic() bool {
	log, ok := c.LogStore.(raft.MonotonicLogStore)
	return ok && log.IsMonotonic()
}

func (c *logCache) GetLog(index uint64, out *raft.Log) error {
	c.mu.RLock()
	if len(c.entries) > 0 && index >= c.entries[0].Index && index-c.entries[0].Index < uint64(len(c.entries)) {
		*out = *c.entries[index-c.entries[0].Index]
		c.mu.RUnlock()
		return nil
	}
	c.mu.RUnlock()
	return c.LogStore.GetLog(index, out)
}

func (c *logCache) StoreLog(e *raft.Log) error { return c.StoreLogs([]*raft.Log{e}) }

func (c *logCache) StoreLogs(entries []*raft.Log) error {
	if err := c.LogStore.StoreLogs(entries); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		if n := len(c.entries); n > 0 && e.Index != c.entries[n-1].Index+1 {
			c.clear()
		}
		c.entries = append(c.entries, e)
		c.bytes += entryBytes(e)
	}
	for c.bytes > logCacheBytes || len(c.entries) > logCacheEntries {
		c.bytes -= entryBytes(c.entries[0])
		c.entries[0] = nil
		c.entries = c.entries[1:]
	}
	return nil
}

func (c *logCache) DeleteRange(first, last uint64) error {
	c.mu.Lock()
	c.clear()
	c.mu.Unlock()
	return c.LogStore.DeleteRange(first, last)
}

func (c *logCache) clear() { c.entries, c.bytes = nil, 0 }

func entryBytes(e *raft.Log) int64 { return int64(len(e.Data) + len(e.Extensions)) }
