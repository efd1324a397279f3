package storage

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// What is measured comes on top of compactionsBefore records, in batches of full size.
const (
	compactionsBefore   = 500_000
	compactionsMeasured = 2_000_000
	// Pebble rests once it has done nothing for so long.
	compactionsRest = time.Second
)

// BenchmarkCompactions says what a record with an id without order costs, from its batch
// to the last level, and how many bytes are written for it (ADR 28 in docs/adr). It is
// long, and runs only where PIPESYNC_SOAK is set, with -benchtime 1x.
func BenchmarkCompactions(b *testing.B) {
	if os.Getenv("PIPESYNC_SOAK") == "" {
		b.Skip("runs where PIPESYNC_SOAK is set")
	}
	for _, c := range []struct {
		name  string
		kinds []kind
	}{
		{"fingerprints", []kind{kindFingerprint}},
		{"contents", []kind{kindContent}},
		{"changes", []kind{kindChange}},
		{"records", recordKinds},
	} {
		b.Run(c.name, func(b *testing.B) { benchCompactions(b, c.kinds) })
	}
	b.Run("updates", benchUpdateCompactions)
}

var recordKinds = []kind{kindFingerprint, kindContent, kindChange}

func benchCompactions(b *testing.B, kinds []kind) {
	measureCompactions(b, kinds, compactionsMeasured, func(db *DB, rng *rand.Rand) {
		loadRows(b, db, kinds, rng, compactionsBefore, compactionsBefore+compactionsMeasured)
	})
}

// benchUpdateCompactions gives each of the records before other content, twice, and deletes
// none: that is left to who collects changes.
func benchUpdateCompactions(b *testing.B) {
	const updates = 2 * compactionsBefore
	measureCompactions(b, recordKinds, updates, func(db *DB, rng *rand.Rand) {
		for at := 0; at < updates; at += benchBatchRows {
			batch := db.NewBatch()
			addRecords(batch, recordKinds, rng, uint64(compactionsBefore+at), benchBatchRows, func(i int) string {
				// A step that has no factor in common with their number comes to all records.
				return benchID((at + i) * 7919 % compactionsBefore)
			})
			commit(b, batch)
		}
	})
}

// measureCompactions says what each of so many records costs that are written on top of those
// before.
func measureCompactions(b *testing.B, kinds []kind, records int, write func(db *DB, rng *rand.Rand)) {
	for b.Loop() {
		db := openTemp(b, Options{})
		rng := rand.New(rand.NewPCG(1, 2))
		loadRows(b, db, kinds, rng, 0, compactionsBefore)
		restCompactions(db)
		before, cpu := writtenBytes(db), processorNanos(b)
		write(db, rng)
		restCompactions(db)
		b.ReportMetric(float64(processorNanos(b)-cpu)/1e3/float64(records), "cpu-µs/record")
		b.ReportMetric(float64(writtenBytes(db)-before)/float64(records), "written-B/record")
	}
}

func loadRows(b *testing.B, db *DB, kinds []kind, rng *rand.Rand, from, to int) {
	for at := from; at < to; at += benchBatchRows {
		batch := db.NewBatch()
		addRecords(batch, kinds, rng, uint64(at), benchBatchRows, func(i int) string { return benchID(at + i) })
		commit(b, batch)
	}
}

// addRecords adds the rows of so many records of one Raft entry.
func addRecords(batch *Batch, kinds []kind, rng *rand.Rand, index uint64, n int, id func(i int) string) {
	var row []ChangeAt
	for i := range n {
		seq := Seq{index, uint32(i)}
		for _, k := range kinds {
			switch k {
			case kindFingerprint:
				batch.PutFingerprint(1, 1, 1, id(i), benchFingerprint(rng, seq))
			case kindContent:
				batch.PutContent(1, 1, 1, seq, benchContent(rng))
			case kindChange:
				row = append(row, ChangeAt{seq.Offset, Change{Namespace: 1, ID: id(i)}})
				if len(row) == ChangesInRow || i == n-1 {
					batch.PutChanges(1, seq, row)
					row = row[:0]
				}
			}
		}
	}
}

// benchFingerprint has a hash that can't be compressed, as hashes can't.
func benchFingerprint(rng *rand.Rand, seq Seq) Fingerprint {
	f := Fingerprint{Changed: seq, Size: benchRecordSize}
	binary.NativeEndian.PutUint64(f.Hash[:], rng.Uint64())
	binary.NativeEndian.PutUint64(f.Hash[8:], rng.Uint64())
	return f
}

// restCompactions returns once nothing is flushed or compacted any more.
func restCompactions(db *DB) {
	for since := time.Now(); time.Since(since) < compactionsRest; time.Sleep(compactionsRest / 100) {
		if m := db.pebble.Metrics(); m.Flush.NumInProgress > 0 || m.Compact.NumInProgress > 0 {
			since = time.Now()
		}
	}
}

func writtenBytes(db *DB) uint64 {
	total := db.pebble.Metrics().Total()
	return total.TableBytesFlushed + total.TableBytesCompacted
}
