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
					f := fingerprint().Draw(t, "row")
					f.SyncTimestamp = int64(seq)
					b.PutFingerprint(store, ns, gen, id, f)
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

// fingerprint is any, of which many are usual ones.
func fingerprint() *rapid.Generator[Fingerprint] {
	return rapid.Custom(func(t *rapid.T) Fingerprint {
		f := Fingerprint{
			SyncTimestamp: rapid.Int64().Draw(t, "timestamp"),
			Changed: Seq{
				Index:  rapid.OneOf(rapid.Uint64Range(0, 1<<40), rapid.Uint64()).Draw(t, "index"),
				Offset: rapid.OneOf(rapid.Uint32Range(0, 1<<15), rapid.Uint32()).Draw(t, "offset"),
			},
		}
		if f.Tombstone = rapid.Bool().Draw(t, "tombstone"); f.Tombstone {
			f.BuriedAt = rapid.Int64().Draw(t, "buried")
			return f
		}
		copy(f.Hash[:], rapid.SliceOfN(rapid.Byte(), len(f.Hash), len(f.Hash)).Draw(t, "hash"))
		f.Size = rapid.OneOf(rapid.Uint32Range(0, 1<<16), rapid.Uint32()).Draw(t, "size")
		return f
	})
}

// A packed row is what it was, whatever was in the slot before.
func TestPackedFingerprints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := fingerprint().Filter(func(f Fingerprint) bool { return f.packs() }).Draw(t, "row")
		packed := [packedBytes]byte(rapid.SliceOfN(rapid.Byte(), packedBytes, packedBytes).Draw(t, "before"))
		want.pack(&packed)
		var got Fingerprint
		if got.unpack(&packed); got != want {
			t.Errorf("%+v came back as %+v", want, got)
		}
	})
	for _, usual := range []Fingerprint{
		{SyncTimestamp: math.MaxInt64, Changed: Seq{1<<40 - 1, 1<<15 - 1}, Size: 1<<16 - 1},
		{SyncTimestamp: math.MinInt64, Tombstone: true, BuriedAt: math.MinInt64},
	} {
		if !usual.packs() {
			t.Errorf("%+v has no room in a slot", usual)
		}
	}
}

func numberedTag(table *fingerprintTable, i int) tag {
	return table.tag(appendFingerprintKey(nil, 1, 1, 1, fmt.Sprint(i)))
}

func TestTableKeepsTheNewest(t *testing.T) {
	table, err := newFingerprintTable(1, 1) // one bucket
	check(t, err)
	defer func() { check(t, table.close()) }()
	const rows = slotsPerBucket + 3
	for i := range rows {
		table.put(numberedTag(table, i), &Fingerprint{Size: uint32(i)})
	}
	for i := range rows {
		if f, known := table.get(numberedTag(table, i)); known != (i >= 3) || known && f.Size != uint32(i) {
			t.Errorf("row %d of %d: known %v, %+v", i, rows, known, f)
		}
	}
}

// A table that isn't full has nearly all rows, though some of the buckets are full, and one
// that is has as many as fit.
func TestTableFillsUp(t *testing.T) {
	const slots = 1000 * slotsPerBucket
	for rows, least := range map[int]int{
		slots * 8 / 10: slots * 8 / 10 * 98 / 100, // one bucket for each row: 96 in a hundred
		slots * 3 / 2:  slots * 97 / 100,
	} {
		table, err := newFingerprintTable(1000*bucketBytes, 1)
		check(t, err)
		for i := range rows {
			table.put(numberedTag(table, i), &Fingerprint{})
		}
		known := 0
		for i := range rows {
			if _, found := table.get(numberedTag(table, i)); found {
				known++
			}
		}
		if known < least {
			t.Errorf("of %d rows in %d slots %d are known, want %d", rows, slots, known, least)
		}
		check(t, table.close())
	}
}
