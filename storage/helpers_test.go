package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// tester is what testing.TB and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
}

func openTest(tb tester, dir string, o Options) *DB {
	tb.Helper()
	db, err := Open(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// openTemp is a database on disk that is closed when the test ends.
func openTemp(tb testing.TB, o Options) *DB {
	tb.Helper()
	db := openTest(tb, tb.TempDir(), o)
	tb.Cleanup(func() { check(tb, db.Close()) })
	return db
}

// dbDir is where databases in memory live.
const dbDir = "db"

// openMem is a database in memory that is closed when the test ends.
func openMem(tb testing.TB) *DB {
	tb.Helper()
	db := openTest(tb, dbDir, memOptions())
	tb.Cleanup(func() { check(tb, db.Close()) })
	return db
}

// memOptions are those of a database in a file system of its own in memory.
func memOptions() Options { return Options{FS: vfs.NewMem()} }

func check(tb tester, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func commit(tb tester, b *Batch) {
	tb.Helper()
	check(tb, errors.Join(b.Commit(), b.Close()))
}

// write commits what fill puts in a batch.
func write(tb tester, db *DB, fill func(*Batch)) {
	tb.Helper()
	b := db.NewBatch()
	fill(b)
	commit(tb, b)
}

// putRecord adds both rows of a live record whose data is its id.
func putRecord(b *Batch, store StoreNum, ns NamespaceNum, gen Generation, id string) {
	changed := changeOf(id)
	b.PutFingerprint(store, ns, gen, id, Fingerprint{SyncTimestamp: int64(len(id)), Changed: changed})
	b.PutContent(store, ns, gen, changed, Content{Data: []byte(id)})
}

// changeOf is another for each id.
func changeOf(id string) Seq {
	h := sha256.Sum256([]byte(id))
	return Seq{Index: binary.BigEndian.Uint64(h[:]), Offset: binary.BigEndian.Uint32(h[8:])}
}

// recordIDs lists a generation and checks that each record is the one that
// putRecord made.
func recordIDs(tb tester, r Reader, store StoreNum, ns NamespaceNum, gen Generation) []string {
	tb.Helper()
	var ids []string
	check(tb, r.ScanRecords(store, ns, gen, "", 1<<20, func(id string, f Fingerprint, c Content) error {
		if f.SyncTimestamp != int64(len(id)) || string(c.Data) != id {
			return fmt.Errorf("record %q is %+v, %+v", id, f, c)
		}
		ids = append(ids, id)
		return nil
	}))
	return ids
}

// fingerprintIDs tells which of the ids have a fingerprint, tombstones too.
func fingerprintIDs(tb tester, r Reader, store StoreNum, ns NamespaceNum, gen Generation, ids []string) []string {
	tb.Helper()
	ids = slices.Sorted(slices.Values(ids))
	var got []string
	check(tb, r.Fingerprints(store, ns, gen, ids, func(i int, _ Fingerprint, found bool) error {
		if found {
			got = append(got, ids[i])
		}
		return nil
	}))
	return got
}
