package storage

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// known says whether the table knows a fingerprint of the first generation.
func (db *DB) known(id string) bool {
	t := db.table
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.get(t.tag(appendFingerprintKey(nil, 1, 1, 1, id)))
	return known
}

// unknow has the table know the row no more, as if others had taken its slot.
func (db *DB) unknow(id string) {
	t := db.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(t.tag(appendFingerprintKey(nil, 1, 1, 1, id)))
}

// coldTest is a database that was opened anew, with records.
func coldTest(t *testing.T, records int, patient bool) *DB {
	t.Helper()
	mem := vfs.NewMem()
	db := openTest(t, dbDir, Options{FS: mem})
	fillRecords(t, db, 0, records)
	check(t, db.Close())
	db = openTest(t, dbDir, Options{FS: mem, Patient: patient})
	t.Cleanup(func() { check(t, db.Close()) })
	return db
}

// TestTableIsWarmed by the scan that makes the filter after a start, where others don't need the
// processor.
func TestTableIsWarmed(t *testing.T) {
	const records = 3 * filterChunkKeys / 2
	for _, patient := range []bool{false, true} {
		t.Run(fmt.Sprint("patient: ", patient), func(t *testing.T) {
			db := coldTest(t, records, patient)
			if db.known(benchID(0)) {
				t.Fatal("a table that nobody has filled knows a row")
			}
			db.awaitFilter()
			for i := range records {
				if db.known(benchID(i)) == patient {
					t.Fatalf("record %d is known: %t", i, !patient)
				}
			}
		})
	}
}

// TestWarmedTableIsNotBehind: what is written, deleted or dropped while the scan goes on isn't
// known as it was before.
func TestWarmedTableIsNotBehind(t *testing.T) {
	const records = 3 * filterChunkKeys / 2
	updated, deleted := benchID(7), benchID(8)
	for name, tc := range map[string]struct {
		meanwhile func(b *Batch)
		warmed    bool // rows that nobody has touched are known
	}{
		"rows": {func(b *Batch) {
			b.PutFingerprint(1, 1, 1, updated, Fingerprint{SyncTimestamp: 99})
			b.DeleteFingerprint(1, 1, 1, deleted)
		}, true},
		"a range": {func(b *Batch) {
			b.DropFingerprints(1, 1, 1, benchID(9))
			b.PutFingerprint(1, 1, 1, updated, Fingerprint{SyncTimestamp: 99})
		}, false},
		"another generation": {func(b *Batch) {
			b.PutFingerprint(1, 1, 1, updated, Fingerprint{SyncTimestamp: 99})
			b.DropGeneration(1, 1, 2)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			db := coldTest(t, records, false)
			next, state, err := db.beginFilter()
			check(t, err)
			write(t, db, tc.meanwhile)
			db.unknow(updated)
			scanned, err := db.table.scan(state, next, newFilterPacing(false), nil)
			check(t, err)
			check(t, state.Close())
			check(t, db.endFilter(next, scanned, nil))
			if known := db.known(benchID(records - 1)); known != tc.warmed {
				t.Errorf("other rows are known: %t", known)
			}
			var ids []string
			for i := range records {
				ids = append(ids, benchID(i))
			}
			slices.Sort(ids)
			var want, got []string
			note := func(to *[]string) func(int, Fingerprint, bool) error {
				return func(i int, f Fingerprint, found bool) error {
					*to = append(*to, fmt.Sprint(ids[i], f, found))
					return nil
				}
			}
			check(t, db.rows.Fingerprints(1, 1, 1, ids, note(&want)))
			check(t, db.Fingerprints(1, 1, 1, ids, note(&got)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("with the table (-without +with): %s", diff)
			}
		})
	}
}

// TestWarmingTakesNoRoom from rows that are known.
func TestWarmingTakesNoRoom(t *testing.T) {
	mem := vfs.NewMem()
	small := Options{FS: mem, CacheBytes: cacheParts * bucketBytes} // some buckets
	db := openTest(t, dbDir, small)
	fillRecords(t, db, 0, filterChunkKeys)
	check(t, db.Close())
	db = openTest(t, dbDir, small)
	defer func() { check(t, db.Close()) }()
	var known []string
	write(t, db, func(b *Batch) {
		for i := range slotsPerBucket {
			known = append(known, fmt.Sprint("new-", i))
			b.PutFingerprint(1, 1, 1, known[i], Fingerprint{})
		}
	})
	known = slices.DeleteFunc(known, func(id string) bool { return !db.known(id) })
	db.awaitFilter()
	if i := slices.IndexFunc(known, func(id string) bool { return !db.known(id) }); len(known) == 0 || i >= 0 {
		t.Errorf("of %d rows that were known one isn't any more", len(known))
	}
}
