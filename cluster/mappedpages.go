package cluster

import (
	"encoding/binary"
	"errors"
	"reflect"
	"sync/atomic"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

const (
	// givenBackBytes of the log may have been touched since its pages were given back.
	givenBackBytes = 8 << 20
	// cutBytes of the log are deleted at a time, and one entry.
	cutBytes = 8 << 20
	// aroundBytes are mapped beside what is touched: Linux does so with pages that it has
	// in its cache anyway.
	aroundBytes = 64 << 10
)

// mappedPages gives back to the kernel what bbolt has touched of its file. Each page counts
// as memory of the process from then on, until the whole log does, though it is a page of
// the kernel's cache. It stays there, as every page that was read or written by other
// means, and is mapped again where it is touched again.
type mappedPages struct {
	db       *bbolt.DB
	touched  atomic.Int64
	encoding []byte // of those who append
}

// pagesOf finds the database in its store, which shows it to nobody.
func pagesOf(store *raftboltdb.BoltStore) *mappedPages {
	conn := reflect.ValueOf(store).Elem().FieldByName("conn")
	return &mappedPages{db: (*bbolt.DB)(conn.UnsafePointer())}
}

// read is told of an entry that was read.
func (p *mappedPages) read(e *raft.Log) error { return p.touch(entryBytes(e) + aroundBytes) }

// cut deletes cutBytes of the entries up to one, the first first, and says whether there may
// be more. To delete an entry is to read where it begins, for which the kernel may map all of it.
func (p *mappedPages) cut(last uint64) (more bool, err error) {
	err = p.update(func(tx *bbolt.Tx) error {
		entries, bytes := logBucket(tx).Cursor(), 0
		for k, v := entries.First(); k != nil && binary.BigEndian.Uint64(k) <= last; k, v = entries.Next() {
			if more = bytes >= cutBytes && len(k) == indexBytes; more {
				return nil
			}
			bytes += len(v)
			if err := entries.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
	return more, errors.Join(err, p.giveBack())
}

// update is bbolt's Update. Where that panics at a page, it would go through all others to
// find what is free, and panic once more on a goroutine of its own, which ends the process.
func (p *mappedPages) update(change func(*bbolt.Tx) error) error {
	tx, err := p.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of what isn't committed
	if err := change(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (p *mappedPages) touch(bytes int64) error {
	if p.touched.Add(bytes) < givenBackBytes {
		return nil
	}
	return p.giveBack()
}

// giveBack has an error only where a page can't be read. The transaction keeps bbolt from
// mapping the file elsewhere meanwhile.
func (p *mappedPages) giveBack() error {
	p.touched.Store(0)
	return p.db.View(func(tx *bbolt.Tx) error {
		// It loses nothing, as nobody writes through this memory; where it fails, it was advice.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, p.db.Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
		return nil
	})
}
