package storage

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func (db *DB) hasFilter() bool {
	db.table.mu.Lock()
	defer db.table.mu.Unlock()
	return db.table.filters.complete != nil
}

func (db *DB) awaitFilter() {
	db.PrepareLookups()
	for !db.hasFilter() {
		runtime.Gosched()
	}
}

func TestFilterHasWhatWasAdded(t *testing.T) {
	const keys = 20_480
	f, err := newFingerprintFilter(keys * filterKeyBits / 8) // whole blocks
	check(t, err)
	defer func() { check(t, f.close()) }()
	hash := func(i int) uint64 { return f.hash(appendFingerprintKey(nil, 1, 1, 1, benchID(i))) }
	for i := range keys {
		if f.full() {
			t.Fatalf("full with %d keys", i)
		}
		f.add(hash(i))
	}
	wrong := 0
	for i := range keys {
		if !f.mayHave(hash(i)) {
			t.Fatalf("key %d isn't there", i)
		}
		if f.mayHave(hash(keys + i)) {
			wrong++
		}
	}
	for i := range keys {
		f.add(hash(i)) // which counts once
	}
	more := 0
	for ; !f.full(); more++ { // what seemed to be there hasn't counted
		f.add(hash(2*keys + more))
	}
	if more == 0 || more > keys/50 || wrong > keys/50 {
		t.Errorf("full with %d keys more; of %d keys that aren't there %d seem to be", more, keys, wrong)
	}
}

// What was there before the filter is in it, and what comes while it is made.
func TestFilterIsComplete(t *testing.T) {
	mem := vfs.NewMem()
	db := openTest(t, dbDir, Options{FS: mem})
	fillRecords(t, db, 0, 3*filterChunkKeys/2)
	old := RequestID{0: 255}
	write(t, db, func(b *Batch) { b.PutRequest(old, Request{}) })
	check(t, db.Close())
	db = openTest(t, dbDir, Options{FS: mem})
	defer func() { check(t, db.Close()) }()
	db.PrepareLookups()
	var ids []string
	requests := []RequestID{old}
	for i := 0; !db.hasFilter() || i < 10; i++ {
		ids = append(ids, fmt.Sprintf("new-%09d", i))
		requests = append(requests, RequestID{byte(i), byte(i >> 8), byte(i >> 16)})
		write(t, db, func(b *Batch) {
			b.PutFingerprint(1, 1, 1, ids[i], Fingerprint{})
			b.PutRequest(requests[i+1], Request{})
		})
	}
	for _, id := range requests {
		if _, found, err := db.Request(id); !found || err != nil {
			t.Errorf("request %x: found %t, %v", id, found, err)
		}
	}
	if n, err := countFingerprints(db, ids); n != len(ids) || err != nil {
		t.Errorf("of %d new ids found %d, %v", len(ids), n, err)
	}
	for i := range 3 * filterChunkKeys / 2 {
		if n, err := countFingerprints(db, []string{benchID(i)}); n != 1 || err != nil {
			t.Fatalf("record %d: found %d, %v", i, n, err)
		}
	}
}

// No filter is made before somebody looks for a fingerprint.
func TestFilterAwaitsLookups(t *testing.T) {
	db := openMem(t)
	fillRecords(t, db, 0, benchBatchRows)
	if db.table.filters.wanted || len(db.table.filters.due) > 0 {
		t.Error("a filter is made for a database that is only written to")
	}
	if n, err := countFingerprints(db, []string{benchID(0), "new"}); n != 1 || err != nil {
		t.Errorf("without a filter: found %d, %v", n, err)
	}
	for !db.hasFilter() {
		runtime.Gosched()
	}
	if n, err := countFingerprints(db, []string{benchID(0), "new"}); n != 1 || err != nil {
		t.Errorf("with one: found %d, %v", n, err)
	}
}

// What isn't there isn't looked for.
func TestFilterSparesReads(t *testing.T) {
	db := openMem(t)
	db.awaitFilter()
	key := appendFingerprintKey(nil, 1, 1, 1, "a")
	check(t, db.pebble.Set(key, encodeRow(Fingerprint{}), pebble.NoSync)) // behind the filter's back
	if n, err := countFingerprints(db, []string{"a"}); n != 0 || err != nil {
		t.Errorf("found %d, %v", n, err)
	}
	check(t, db.pebble.Set(appendRequestKey(nil, RequestID{1}), encodeRow(Request{}), pebble.NoSync))
	if _, found, err := db.Request(RequestID{1}); found || err != nil {
		t.Errorf("the request is there: %t, %v", found, err)
	}
}

// A filter whose keys are gone for the most part is replaced.
func TestFilterIsMadeAnew(t *testing.T) {
	o := memOptions()
	o.CacheBytes = cacheParts * filterBlockBytes // one block
	db := openTest(t, dbDir, o)
	defer func() { check(t, db.Close()) }()
	db.awaitFilter()
	first := db.table.filters.complete
	made := func() bool {
		db.table.mu.Lock()
		defer db.table.mu.Unlock()
		return db.table.filters.complete != first
	}
	for i := 0; !made(); i++ {
		write(t, db, func(b *Batch) {
			b.PutFingerprint(1, 1, 1, benchID(i), Fingerprint{})
			b.DropFingerprints(1, 1, 1, "")
		})
	}
	write(t, db, func(b *Batch) { b.PutFingerprint(1, 1, 1, "a", Fingerprint{}) })
	if n, err := countFingerprints(db, []string{"a", "b"}); n != 1 || err != nil {
		t.Errorf("found %d, %v", n, err)
	}
}

// Where not all can be read, the filter stays that was there.
func TestNoFilterOfWhatCantBeRead(t *testing.T) {
	mem := vfs.NewMem()
	var broken atomic.Bool
	disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileReadAt {
			return syscall.EIO
		}
		return nil
	}))
	db := openTest(t, dbDir, Options{FS: disk, CacheBytes: 1})
	defer func() { check(t, db.Close()) }()
	fillRecords(t, db, 0, benchBatchRows)
	check(t, db.Flush())
	db.awaitFilter()
	for !db.pebble.Metrics().Table.InitialStatsCollectionComplete {
		runtime.Gosched()
	}
	before := db.table.filters.complete
	broken.Store(true)
	err := db.buildFilter(nil)
	broken.Store(false)
	if !errors.Is(err, syscall.EIO) || db.table.filters.complete != before || db.table.filters.building != nil {
		t.Errorf("%v; the filter is the same: %t", err, db.table.filters.complete == before)
	}
	if n, err := countFingerprints(db, []string{benchID(7), "new"}); n != 1 || err != nil {
		t.Errorf("found %d, %v", n, err)
	}
}
