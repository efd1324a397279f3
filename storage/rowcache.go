package storage

import (
	"bytes"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// rowCacheBytes bounds the cache; each row counts rowCacheOverheadBytes beside its
	// key and value.
	rowCacheBytes         = 16 << 20
	rowCacheOverheadBytes = 128
	// latest is the version of a reader that sees whatever is committed.
	latest = math.MaxUint64
	// noTicket is one that put takes nothing for.
	noTicket = 0
)

// cachedKinds are those of the rows that decide about every sync, whatever its records
// are: few, small, and read far more often than anything else.
var cachedKinds = [...]kind{
	kindSystem, kindSettings, kindOrg, kindKey, kindOrgKey, kindStore, kindWindowHead, kindWindowSlot, kindNamespace, kindUsage,
	kindChangeHead, kindHistoryHead, kindCheckpoint, kindRequestHead, kindRequestSlot, kindIdempotencyHead, kindIdempotencySlot,
}

var isCached = func() (is [256]bool) {
	for _, k := range cachedKinds {
		is[k] = true
	}
	return is
}()

// rowCache has rows that were read, as they are in the database, and knows since which
// version of it they have been so. A version is what a number of commits have left. A
// reader of an older version reads a row from disk that has changed since.
//
// A commit is seen in the database before the cache has followed it, so that nobody waits
// for it here. Who reads meanwhile sees the version before it or the one after, and is
// taken to see the one before: rows that the commit changes aren't known until it has
// ended, and all others are the same in both.
type rowCache struct {
	mu         sync.RWMutex
	version    uint64 // at least 1
	committing bool
	rows       map[string]*cachedRow
	size       int
}

type cachedRow struct {
	since    uint64
	value    []byte // its bytes never change; nil: there is no such row
	changing bool   // by what is being committed
}

func newRowCache() *rowCache { return &rowCache{version: 1, rows: map[string]*cachedRow{}} }

// get returns the value of a row as a reader of the version sees it, which isn't to be
// changed: nil where there is no such row. Where that isn't known, ticket is for put.
func (c *rowCache) get(key []byte, version uint64) (value []byte, known bool, ticket uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if row, has := c.rows[string(key)]; has && !row.changing && row.since <= version {
		return row.value, true, 0
	}
	if c.committing {
		return nil, false, noTicket
	}
	return nil, false, min(version, c.version)
}

// put remembers what was read of a row after get, unless something was committed since.
func (c *rowCache) put(key, value []byte, ticket uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.committing || ticket != c.version {
		return
	}
	if old, has := c.rows[string(key)]; has {
		c.drop(string(key), old)
	}
	c.rows[string(key)] = &cachedRow{since: c.version, value: value}
	c.size += len(key) + len(value) + rowCacheOverheadBytes
	if c.size <= rowCacheBytes {
		return
	}
	for other, row := range c.rows { // whichever come
		if c.drop(other, row); c.size <= rowCacheBytes {
			return
		}
	}
}

func (c *rowCache) drop(key string, row *cachedRow) {
	delete(c.rows, key)
	c.size -= len(key) + len(row.value) + rowCacheOverheadBytes
}

// rowWrite is what a batch does to a row that may be in the cache.
type rowWrite struct{ key, value []byte } // value nil: deletes it

// rowWrites are those of a batch, in order.
type rowWrites struct {
	each []rowWrite
	all  bool // some range was dropped in which there may be such rows
}

func (w *rowWrites) add(op pebble.InternalKeyKind, key, value []byte) {
	switch {
	case op == pebble.InternalKeyKindRangeDelete:
		for _, k := range cachedKinds {
			w.all = w.all || bytes.Compare(key, []byte{byte(k) + 1}) < 0 && bytes.Compare(value, []byte{byte(k)}) > 0
		}
	case !isCached[key[0]]:
	case op == pebble.InternalKeyKindSet:
		w.each = append(w.each, rowWrite{key, value})
	default:
		w.each = append(w.each, rowWrite{key, nil})
	}
}

// during has commit change the database, and then does to the cache what that did.
func (c *rowCache) during(writes rowWrites, commit func() error) error {
	c.begin(writes)
	err := commit()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.committing = false
	c.version++
	if err != nil {
		c.forget()
	}
	for _, w := range writes.each {
		row, has := c.rows[string(w.key)]
		if !has {
			continue
		}
		c.size += len(w.value) - len(row.value)
		*row = cachedRow{since: c.version, value: bytes.Clone(w.value)}
	}
	return err
}

// begin has nobody take from the cache what is about to change.
func (c *rowCache) begin(writes rowWrites) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.committing = true
	if writes.all {
		c.forget()
	}
	for _, w := range writes.each {
		if row, has := c.rows[string(w.key)]; has {
			row.changing = true
		}
	}
}

func (c *rowCache) forget() {
	clear(c.rows)
	c.size = 0
}
