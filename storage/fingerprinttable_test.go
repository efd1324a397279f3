package storage

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"pgregory.net/rapid"
)

// TestTableFollowsDatabase does to fingerprints all that a batch can, and looks them
// up in between: with the table it is as without.
func TestTableFollowsDatabase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := memOptions()
		// One bucket, some, or room for all.
		o.CacheBytes = rapid.SampledFrom([]int64{1, 20 * bucketBytes, 2000 * bucketBytes}).Draw(t, "cache")
		db := openTest(t, dbDir, o)
		defer func() { check(t, db.Close()) }()
		number := rapid.Uint32Range(1, 2)
		id := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("%02d", rapid.IntRange(0, 99).Draw(t, "id")) })
		var batch *Batch
		seq := uint64(0)
		inBatch := func(act func(b *Batch, store StoreNum, ns NamespaceNum, gen Generation)) func(*rapid.T) {
			return func(t *rapid.T) {
				if batch == nil {
					batch = db.NewBatch()
				}
				act(batch, StoreNum(number.Draw(t, "store")), NamespaceNum(number.Draw(t, "namespace")), Generation(number.Draw(t, "generation")))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": inBatch(func(b *Batch, store StoreNum, ns NamespaceNum, gen Generation) {
				for _, id := range rapid.SliceOfN(id, 1, 2*chunkRows).Draw(t, "ids") {
					seq++
					b.PutFingerprint(store, ns, gen, id, Fingerprint{Changed: Seq{Index: seq}})
				}
			}),
			"delete": inBatch(func(b *Batch, store StoreNum, ns NamespaceNum, gen Generation) {
				for _, id := range rapid.SliceOfN(id, 1, 20).Draw(t, "ids") {
					b.DeleteFingerprint(store, ns, gen, id)
				}
			}),
			"drop up to": inBatch(func(b *Batch, store StoreNum, ns NamespaceNum, gen Generation) {
				b.DropFingerprints(store, ns, gen, id.Draw(t, "until"))
			}),
			"drop generation": inBatch(func(b *Batch, store StoreNum, ns NamespaceNum, gen Generation) {
				b.DropGeneration(store, ns, gen)
			}),
			"drop store": inBatch(func(b *Batch, store StoreNum, _ NamespaceNum, _ Generation) {
				b.DropStore(1, "s", store)
			}),
			"commit": func(t *rapid.T) {
				if batch != nil {
					commit(t, batch)
					batch = nil
				}
			},
			"make a filter": func(*rapid.T) {
				select {
				case db.table.filters.due <- struct{}{}:
				default:
				}
			},
			"": func(t *rapid.T) {
				ids := slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(id, 0, 3*chunkRows).Draw(t, "looked up"))))
				for key := range 8 {
					store, ns, gen := StoreNum(1+key&1), NamespaceNum(1+key>>1&1), Generation(1+key>>2)
					var want []string
					check(t, db.rows.Fingerprints(store, ns, gen, ids, func(i int, f Fingerprint, found bool) error {
						want = append(want, fmt.Sprint(i, f, found))
						return nil
					}))
					var got []string
					check(t, db.Fingerprints(store, ns, gen, ids, func(i int, f Fingerprint, found bool) error {
						got = append(got, fmt.Sprint(i, f, found))
						return nil
					}))
					if !slices.Equal(got, want) {
						t.Fatalf("%d/%d/%d: %q with the table, %q without", store, ns, gen, got, want)
					}
				}
			},
		})
		if batch != nil {
			check(t, batch.Close())
		}
	})
}

// What is known isn't read again: it is found even where the database has lost it.
func TestTableSparesReads(t *testing.T) {
	db := openMem(t)
	ids := []string{"read", "written"}
	write(t, db, func(b *Batch) { b.PutFingerprint(1, 1, 1, "read", Fingerprint{}) })
	db.table.forget()
	if n, err := countFingerprints(db, ids); n != 1 || err != nil {
		t.Fatalf("found %d, %v", n, err)
	}
	write(t, db, func(b *Batch) { b.PutFingerprint(1, 1, 1, "written", Fingerprint{}) })
	check(t, db.pebble.DeleteRange([]byte{0}, []byte{0xff}, pebble.NoSync))
	if n, err := countFingerprints(db, ids); n != 2 || err != nil {
		t.Errorf("found %d, %v", n, err)
	}
}

// Which generations have lost rows is remembered within a bound.
func TestTableForgetsDrops(t *testing.T) {
	db := openMem(t)
	for gen := range Generation(3 * droppedMax) {
		write(t, db, func(b *Batch) {
			b.PutFingerprint(1, 1, gen, "a", Fingerprint{})
			b.DropFingerprints(1, 1, gen, "")
		})
		if n, err := countFingerprints(db, []string{"a"}); n != 0 || err != nil {
			t.Fatalf("found %d, %v", n, err)
		}
	}
	if n := len(db.table.dropped); n == 0 || n > droppedMax {
		t.Errorf("%d generations are remembered", n)
	}
}

func TestFingerprintsFitSlots(t *testing.T) {
	largest := Fingerprint{Hash: Hash{1}, SyncTimestamp: math.MaxInt64, Changed: Seq{math.MaxUint64, math.MaxUint32}, Size: math.MaxUint32}
	buried := largest
	buried.Hash, buried.Size, buried.Tombstone, buried.BuriedAt = Hash{}, 0, true, math.MinInt64
	if live, dead := len(encodeRow(largest)), len(encodeRow(buried)); live != fingerprintMaxBytes || dead > fingerprintMaxBytes {
		t.Errorf("%d and %d bytes, at most %d", live, dead, fingerprintMaxBytes)
	}
}

func TestTableKeepsTheNewest(t *testing.T) {
	table, err := newFingerprintTable(1, 1) // one bucket
	check(t, err)
	defer func() { check(t, table.close()) }()
	tags := make([]tag, slotsPerBucket+3)
	for i := range tags {
		key := appendRecordKey(nil, kindFingerprint, 1, 1, 1, fmt.Sprint(i))
		tags[i] = table.tag(key)
		table.put(tags[i], key)
	}
	for i, g := range tags {
		if known := table.get(g) != nil; known != (i >= 3) {
			t.Errorf("row %d of %d: known %v", i, len(tags), known)
		}
	}
}
