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
	// leafEntries are in the last leaf of the log at most, where they are larger than a
	// page. Appending writes it anew, and reads all of it for that.
	leafEntries = 4
)

// mappedPages gives back to the kernel what bbolt has touched of its file. Each page counts
// as memory of the process from then on, until the whole log does, though it is a page of
// the kernel's cache. It stays there, as every page that was read or written by other
// means, and is mapped again where it is touched again.
type mappedPages struct {
	db      *bbolt.DB
	touched atomic.Int64
	tail    [leafEntries]int64 // bytes of the last entries; of those who append
}

// pagesOf finds the database in its store, which shows it to nobody.
func pagesOf(store *raftboltdb.BoltStore) *mappedPages {
	conn := reflect.ValueOf(store).Elem().FieldByName("conn")
	return &mappedPages{db: (*bbolt.DB)(conn.UnsafePointer())}
}

// appended is told of entries that were appended, one call after the other.
func (p *mappedPages) appended(entries []*raft.Log) error {
	touched := int64(aroundBytes)
	for _, bytes := range p.tail {
		touched += bytes
	}
	for _, e := range entries[max(len(entries)-leafEntries, 0):] {
		copy(p.tail[:], p.tail[1:])
		p.tail[leafEntries-1] = entryBytes(e)
	}
	return p.touch(touched)
}

// read is told of an entry that was read.
func (p *mappedPages) read(e *raft.Log) error { return p.touch(entryBytes(e) + aroundBytes) }

// cut deletes cutBytes of the entries up to one, the first first, and says whether there may
// be more. To delete an entry is to read where it begins, for which the kernel may map all of it.
func (p *mappedPages) cut(last uint64) (more bool, err error) {
	err = p.db.Update(func(tx *bbolt.Tx) error {
		entries, bytes := tx.Bucket([]byte(entriesBucket)).Cursor(), 0
		for k, v := entries.First(); k != nil && binary.BigEndian.Uint64(k) <= last; k, v = entries.Next() {
			if more = bytes >= cutBytes; more {
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
