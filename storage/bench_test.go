package storage

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

const (
	benchRecords    = 200_000
	benchBatchRows  = 5_000
	benchRecordSize = 200
)

// benchID spreads ids as digests do: no order of arrival, no pattern.
func benchID(i int) string {
	h := uint64(i) * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return fmt.Sprintf("doc-%016x", h^h>>31)
}

func benchContent(rng *rand.Rand) Content {
	data := make([]byte, benchRecordSize)
	for i := 0; i < len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], rng.Uint64())
	}
	return Content{Data: data, SyncID: "sync_01jd8b7v6xk2m3n4p5q6r7s8t9", UpdatedAt: []byte("2025-01-01T00:00:00Z")}
}

func fillRecords(tb testing.TB, db *DB, from, to int) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for at := from; at < to; at += benchBatchRows {
		b := db.NewBatch()
		for i := at; i < min(at+benchBatchRows, to); i++ {
			id := benchID(i)
			changed := Seq{Index: uint64(at), Offset: uint32(i - at)}
			b.PutFingerprint(1, 1, 1, id, Fingerprint{SyncTimestamp: int64(i), Changed: changed})
			b.PutContent(1, 1, 1, changed, benchContent(rng))
		}
		b.SetSystem(&System{AppliedIndex: uint64(at)})
		commit(tb, b)
	}
}

// BenchmarkFingerprints5000 is the lookup that every sync of full size does,
// over a populated database.
func BenchmarkFingerprints5000(b *testing.B) {
	db := openTemp(b, Options{CacheBytes: 64 << 20})
	fillRecords(b, db, 0, benchRecords)
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	present := make([]string, benchBatchRows)
	absent := make([]string, benchBatchRows)
	for i := range present {
		present[i] = benchID(i * (benchRecords / benchBatchRows))
		absent[i] = benchID(benchRecords + i)
	}
	slices.Sort(present)
	slices.Sort(absent)
	all := make([]string, 0, benchRecords)
	for i := range benchRecords {
		all = append(all, benchID(i))
	}
	slices.Sort(all)
	dense := all[benchRecords/2:][:benchBatchRows]

	for _, c := range []struct {
		name string
		ids  []string
		want int
	}{
		{"present", present, benchBatchRows},
		{"absent", absent, 0},
		{"dense", dense, benchBatchRows},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				if err := db.Fingerprints(1, 1, 1, c.ids, func(_ int, _ Fingerprint, found bool) error {
					if found {
						n++
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
				if n != c.want {
					b.Fatalf("%d found, want %d", n, c.want)
				}
			}
		})
	}
}

// BenchmarkRecord is the look-up that every read of a record does.
func BenchmarkRecord(b *testing.B) {
	db := openTemp(b, Options{})
	fillRecords(b, db, 0, benchRecords)
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	s := db.Snapshot()
	b.Cleanup(func() { _ = s.Close() })
	rng := rand.New(rand.NewPCG(3, 4))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, found, err := s.Record(1, 1, 1, benchID(rng.IntN(benchRecords))); !found || err != nil {
			b.Fatal(found, err)
		}
	}
}

// BenchmarkCommit5000 is what Apply writes for a sync of full size.
func BenchmarkCommit5000(b *testing.B) {
	db := openTemp(b, Options{})
	content := benchContent(rand.New(rand.NewPCG(1, 2)))
	ids := make([]string, benchBatchRows)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range ids {
			ids[i] = benchID(n)
			n++
		}
		batch := db.NewBatch()
		for i, id := range ids {
			changed := Seq{Index: uint64(n), Offset: uint32(i)}
			batch.PutFingerprint(1, 1, 1, id, Fingerprint{Changed: changed})
			batch.PutContent(1, 1, 1, changed, content)
		}
		commit(b, batch)
	}
}

// BenchmarkChain5000 is what hashing the writes of a batch of full size costs.
func BenchmarkChain5000(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	keys, rows := make([][]byte, 2*benchBatchRows), make([][]byte, 2*benchBatchRows)
	for i := 0; i < len(keys); i += 2 {
		keys[i] = appendFingerprintKey(nil, 1, 1, 1, benchID(i))
		keys[i+1] = appendContentKey(nil, 1, 1, 1, Seq{Index: 1, Offset: uint32(i)})
		rows[i], rows[i+1] = encodeRow(Fingerprint{SyncTimestamp: 1}), encodeRow(benchContent(rng))
	}
	for b.Loop() {
		var c chain
		c.digest.Reset()
		for i, row := range rows {
			c.add(chainPut, keys[i], row)
		}
	}
}
