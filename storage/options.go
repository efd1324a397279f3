package storage

import (
	"log/slog"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatMajorVersion pins the format of Pebble's files. A newer Pebble keeps
// writing this one, so that a directory or a snapshot can be read by every
// node of a cluster in the middle of an upgrade. It is raised only when all
// nodes that may meet the files can read the new one.
const formatMajorVersion = pebble.FormatTableFormatV6

// The sizes suit batches of 5000 rows of 200 bytes, some 2.5 MB each in a
// memtable, and three databases in one process on a small machine.
const (
	// DefaultCacheBytes is CacheBytes where Options name none.
	DefaultCacheBytes = 192 << 20
	// So many of its parts are the fingerprints', and their filter's, the others
	// Pebble's, for blocks.
	cacheParts  = 12
	tableParts  = 6
	filterParts = 1
	blockParts  = cacheParts - tableParts - filterParts
	// BlockCacheBytes is what is Pebble's where Options name no CacheBytes.
	BlockCacheBytes = DefaultCacheBytes / cacheParts * blockParts

	// A memtable takes several full batches. What is lost in a crash, and
	// replayed, is at most what the memtables hold.
	memtableBytes = 24 << 20
	// Commits wait while this many memtables are waiting to be flushed. As many have room
	// in BlockCacheBytes.
	memtableStopCount = 3

	// The buffer of a batch up to this size is used again for a later one.
	batchRetainedBytes = 4 << 20

	// Compactions are most of the work of a load of ids without order: a level is written
	// anew each time that L0 is merged into it, and so seldom where L0 is large, and the
	// first level below lies between it and the last in size (ADR 28). Pebble merges L0
	// once it is half as deep as its threshold says. Full refreshes and loads come in
	// bursts: commits wait for compactions only later.
	l0CompactThreshold = 32
	l0StopSublevels    = 48
	levelBaseBytes     = 192 << 20

	// A second compaction runs only when the first can't keep up.
	minCompactions = 1
	maxCompactions = 2
	// So deep is L0 then.
	l0SecondCompaction = 32

	openFilesMax = 1000

	// An operation on the disk that takes longer is logged.
	slowDiskAfter = 5 * time.Second

	// A block holds a few dozen content rows or a hundred fingerprints.
	blockBytes      = 8 << 10
	indexBlockBytes = 64 << 10

	// Bits of the bloom filter for each row, 1 % false positives: most lookups
	// of ids that are new touch no block.
	bloomBits = 10
)

// Options are how a database is opened. The zero value works.
type Options struct {
	// Logger gets warnings (write stalls, a slow or full disk) and, at debug
	// level, Pebble's chatter. Nil: none.
	Logger *slog.Logger
	// CacheBytes is memory for what was read or written last; 0 means
	// DefaultCacheBytes.
	CacheBytes int64
	// Fatal is called when the database can't go on: a flush, compaction or
	// fsync failed (a full disk too), or stored data is corrupt (errors.Is
	// ErrCorrupt). After a failed fsync nothing that the disk says can be
	// relied on, so Fatal must end the process. It may be called on any
	// goroutine and with Pebble's locks held: it must not use the database and
	// must not return. Nil, or a Fatal that returns, means a panic.
	Fatal func(error)

	// Patient is for a database that is opened while others have better use for the
	// processor: the filter that spares looks for what isn't there takes up to three
	// seconds more.
	Patient bool

	// FS is for tests alone, which put one here that can crash or fail; nil means
	// OSFS.
	FS FS
	// MemtableBytes is for tests alone: it replaces memtableBytes where it isn't 0,
	// so that they have flushes and compactions without writing gigabytes.
	MemtableBytes uint64
}

// CacheShares are what is on Go's heap of so many CacheBytes, and what is apart from it.
// While another filter is made, there are two.
func CacheShares(bytes int64) (onHeap, apart int64) {
	return bytes / cacheParts * blockParts, bytes / cacheParts * (tableParts + 2*filterParts)
}

// FS is the file system under a database. The name is here so that those who
// hand one on need not import Pebble.
type FS = vfs.FS

// OSFS is the operating system's file system.
func OSFS() FS { return vfs.Default }

// WrittenOnce tells by its name whether a database's file, once it is complete,
// never changes, and whether no other file of that database ever has its name.
func WrittenOnce(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// pebbleOptions are the options for Pebble, but for the cache and the file
// system, which the caller makes and owns.
func pebbleOptions(o Options, ev *events) *pebble.Options {
	po := PebbleTuning()
	po.EventListener, po.Logger = ev.listener(), ev
	if o.MemtableBytes != 0 {
		po.MemTableSize = o.MemtableBytes
	}
	return po
}

// PebbleTuning is what decides how fast Pebble is, but for its cache of BlockCacheBytes. It
// is exported for the bench's ceiling, which is to have the same.
func PebbleTuning() *pebble.Options {
	po := &pebble.Options{
		CompactionConcurrencyRange:  func() (int, int) { return minCompactions, maxCompactions },
		DisableWAL:                  true,
		FormatMajorVersion:          formatMajorVersion,
		L0CompactionThreshold:       l0CompactThreshold,
		L0StopWritesThreshold:       l0StopSublevels,
		LBaseMaxBytes:               levelBaseBytes,
		MaxOpenFiles:                openFilesMax,
		MemTableSize:                memtableBytes,
		MemTableStopWritesThreshold: memtableStopCount,
	}
	po.Experimental.L0CompactionConcurrency = l0SecondCompaction
	po.Experimental.SpanPolicyFunc = oneKindOfRecords
	for i := range po.Levels {
		po.Levels[i].BlockSize = blockBytes
		po.Levels[i].IndexBlockSize = indexBlockBytes
		po.Levels[i].FilterPolicy = tableFilter{bloom.FilterPolicy(bloomBits)}
	}
	return po
}
