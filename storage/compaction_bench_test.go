package storage

import (
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
		{"records", []kind{kindFingerprint, kindContent, kindChange}},
	} {
		b.Run(c.name, func(b *testing.B) { benchCompactions(b, c.kinds) })
	}
}

func benchCompactions(b *testing.B, kinds []kind) {
	for b.Loop() {
		db := openTemp(b, Options{})
		rng := rand.New(rand.NewPCG(1, 2))
		loadRows(b, db, kinds, rng, 0, compactionsBefore)
		restCompactions(db)
		before, cpu := writtenBytes(db), processorNanos(b)
		loadRows(b, db, kinds, rng, compactionsBefore, compactionsBefore+compactionsMeasured)
		restCompactions(db)
		b.ReportMetric(float64(processorNanos(b)-cpu)/1e3/compactionsMeasured, "cpu-µs/record")
		b.ReportMetric(float64(writtenBytes(db)-before)/compactionsMeasured, "written-B/record")
	}
}

func loadRows(b *testing.B, db *DB, kinds []kind, rng *rand.Rand, from, to int) {
	for at := from; at < to; at += benchBatchRows {
		batch := db.NewBatch()
		for i := range benchBatchRows {
			id, seq := benchID(at+i), Seq{Index: uint64(at), Offset: uint32(i)}
			for _, k := range kinds {
				switch k {
				case kindFingerprint:
					batch.PutFingerprint(1, 1, 1, id, Fingerprint{Changed: seq})
				case kindContent:
					batch.PutContent(1, 1, 1, seq, benchContent(rng))
				case kindChange:
					batch.PutChange(1, seq, Change{Namespace: 1, ID: id})
				}
			}
		}
		commit(b, batch)
	}
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
