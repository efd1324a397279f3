package storage

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// DB is an open database. Its methods may be called by any number of
// goroutines, except Close, which must be the last call and come after every
// Snapshot and Batch has been closed.
type DB struct {
	rows
	pebble *pebble.DB
	table  *fingerprintTable
	events *events
	watch  io.Closer // of the disk's health

	stop       chan struct{} // what is in the background
	patient    bool
	background sync.WaitGroup
}

// Open opens the database in dir, and makes both where they are missing (dir
// with mode 0700). One process may have a directory open at a time: the second
// Open fails. A directory that a newer program wrote is refused, and so is one that has
// rotted where that shows at once: the error matches ErrRot.
func Open(dir string, o Options) (*DB, error) {
	if o.FS == nil {
		o.FS = OSFS()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if err := checkManifest(o.FS, dir); err != nil {
		return nil, fmt.Errorf("open storage in %s: %w", dir, err)
	}
	ev := newEvents(o)
	po := pebbleOptions(o, ev)
	table, err := newFingerprintTable(o.CacheBytes/cacheParts*tableParts, o.CacheBytes/cacheParts*filterParts)
	if err != nil {
		return nil, fmt.Errorf("open storage in %s: %w", dir, err)
	}
	cache := pebble.NewCache(o.CacheBytes / cacheParts * blockParts)
	defer cache.Unref() // the database holds a reference of its own
	po.Cache = cache
	// Pebble would watch the disk itself, but leaves its watch running where
	// Open fails.
	disk, watch := vfs.WithDiskHealthChecks(carefulFS{o.FS}, slowDiskAfter, nil, ev.diskSlow)
	po.FS = bufferedFS{disk}
	db, err := pebble.Open(dir, po)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open storage in %s: %w", dir, missing(corruption(err))), watch.Close(), table.close())
	}
	if v := db.FormatMajorVersion(); v > formatMajorVersion {
		err := fmt.Errorf("open storage in %s: format %d, this program knows only up to %d: it is older than the directory",
			dir, v, formatMajorVersion)
		return nil, errors.Join(err, db.Close(), watch.Close(), table.close())
	}
	d := &DB{rows: rows{db, newRowCache(), latest}, pebble: db, table: table, events: ev, watch: watch, stop: make(chan struct{}), patient: o.Patient}
	d.background.Go(func() { d.keepFilter(d.stop) })
	return d, nil
}

// Snapshot gives a consistent view of what has been committed so far. It holds
// back the reclaiming of space until it is closed.
func (db *DB) Snapshot() *Snapshot {
	db.cache.mu.RLock()
	defer db.cache.mu.RUnlock()
	s := db.pebble.NewSnapshot()
	return &Snapshot{rows: rows{s, db.cache, db.cache.version}, pebble: s}
}

// Flush returns when everything committed before the call is on disk and
// survives a crash.
func (db *DB) Flush() error {
	if err := db.pebble.Flush(); err != nil {
		return fmt.Errorf("flush storage: %w", corruption(err))
	}
	return nil
}

// Checkpoint makes dir (mode 0700, which must not exist) a database of its own
// with everything that was flushed; what was committed since the last Flush may
// be missing, whole batches at a time. Files are hard links where dir is on the
// same file system, so that it takes milliseconds: they must not be written to.
// When it returns dir and its files are on disk; a failure removes dir.
func (db *DB) Checkpoint(dir string) error {
	if err := db.pebble.Checkpoint(dir); err != nil {
		return fmt.Errorf("checkpoint storage to %s: %w", dir, corruption(err))
	}
	return nil
}

// Close flushes and closes the database. It fails, but closes all the same,
// when a Snapshot is still open.
func (db *DB) Close() error {
	close(db.stop)
	db.background.Wait()
	if err := errors.Join(db.Flush(), db.pebble.Close(), db.watch.Close(), db.table.close()); err != nil {
		return fmt.Errorf("close storage: %w", err)
	}
	return nil
}

// Snapshot is a view of the database at one moment, between two batches. It
// may be used by any number of goroutines; Close it, after their last call.
type Snapshot struct {
	rows
	pebble *pebble.Snapshot
}

// Close releases the view.
func (s *Snapshot) Close() error {
	if err := s.pebble.Close(); err != nil {
		return fmt.Errorf("close storage snapshot: %w", err)
	}
	return nil
}
