package storage

import (
	"math/rand/v2"
	"testing"
)

// TestTablesHaveOneKindOfRecords, as a flush writes them and as a compaction does.
func TestTablesHaveOneKindOfRecords(t *testing.T) {
	db := openTemp(t, Options{})
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range uint64(3) {
		b := db.NewBatch()
		b.PutUsage(1, 1, Usage{Records: n}) // has a key before all of those
		addRecords(b, recordKinds, rng, n, 100, benchID)
		b.PutHistory(1, n, History{}) // and one behind
		commit(t, b)
		check(t, db.Flush())
	}
	expect := func(when string) {
		t.Helper()
		levels, err := db.pebble.SSTables()
		check(t, err)
		kinds := map[kind]bool{}
		for _, tables := range levels {
			for _, table := range tables {
				first, last := kind(table.Smallest.UserKey[0]), kind(table.Largest.UserKey[0])
				kinds[first] = true
				if first != last && last >= kindFingerprint && first <= kindChange {
					t.Errorf("%s: a table has rows from kind %#x to %#x", when, first, last)
				}
			}
		}
		for _, k := range recordKinds {
			if !kinds[k] {
				t.Errorf("%s: no table begins with kind %#x", when, k)
			}
		}
	}
	expect("flushed")
	check(t, db.pebble.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	expect("compacted")
}
