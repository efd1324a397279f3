package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashBatch writes, under its number: the System row, one row
// that every batch rewrites, one that only it writes, and a generation that the
// next batch drops.
func crashBatch(tb tester, db *DB, n uint64, pad []byte) {
	tb.Helper()
	write(tb, db, func(b *Batch) {
		f := Fingerprint{Changed: Seq{Index: n}}
		for i, id := range []string{"\x00", "middle", "\xff"} {
			f := Fingerprint{Changed: Seq{Index: n, Offset: uint32(i)}}
			b.DeleteContent(1, 1, 1, Seq{Index: n - 1, Offset: uint32(i)})
			b.PutFingerprint(1, 1, 1, id, f)
			b.PutContent(1, 1, 1, f.Changed, Content{Data: pad, SyncID: fmt.Sprint(n)})
		}
		b.PutFingerprint(1, 2, 1, fmt.Sprintf("%08d", n), f)
		b.PutContent(1, 2, 1, f.Changed, Content{SyncID: fmt.Sprint(n)})
		b.DropGeneration(1, 3, Generation(n-1))
		b.PutFingerprint(1, 3, Generation(n), "flip", f)
		b.PutContent(1, 3, Generation(n), f.Changed, Content{SyncID: fmt.Sprint(n)})
		b.PutWindowSlot(1, n, WindowSlot{At: int64(n)})
		if n > 10 {
			b.DeleteWindowSlot(1, n-10)
		}
		b.SetSystem(&System{AppliedIndex: n})
	})
}

// verifyPrefix checks that the database is as the batches 1 to n left it,
// for the n in its System row, and gives n.
func verifyPrefix(tb tester, r Reader) uint64 {
	tb.Helper()
	sys, err := r.System()
	check(tb, err)
	n := sys.AppliedIndex
	if n == 0 {
		return 0
	}
	count := 0
	check(tb, r.ScanRecords(1, 1, 1, "", 100, func(id string, f Fingerprint, c Content) error {
		count++
		if f.Changed.Index != n || c.SyncID != fmt.Sprint(n) {
			return fmt.Errorf("row %q is of batch %d, %s; the system row of %d", id, f.Changed.Index, c.SyncID, n)
		}
		return nil
	}))
	if count != 3 {
		tb.Fatal("rewritten rows:", count)
	}
	own := uint64(0)
	check(tb, r.ScanRecords(1, 2, 1, "", 1<<20, func(id string, f Fingerprint, _ Content) error {
		if own++; f.Changed.Index != own {
			return fmt.Errorf("batch %d is missing before %d", own, f.Changed.Index)
		}
		return nil
	}))
	if own != n {
		tb.Fatal("rows of batches up to", own, "with a system row of", n)
	}
	for gen := range n + 2 {
		_, _, found, err := r.Record(1, 3, Generation(gen), "flip")
		check(tb, err)
		if found != (gen == n) {
			tb.Fatal("generation", gen, "found", found, "after batch", n)
		}
	}
	for seq := uint64(1); seq <= n+1; seq++ {
		at, found, err := r.WindowSlot(1, seq)
		check(tb, err)
		if want := seq <= n && seq+10 > n; found != want || found && at.At != int64(seq) {
			tb.Fatal("slot", seq, "found", found, "after batch", n)
		}
	}
	return n
}

// TestCrashLosesWholeBatches crashes a database at many moments while memtables
// are flushed and compacted behind it. What is found afterwards is the state
// after some batch, not before the last Flush, with any share of the data that
// wasn't synced.
func TestCrashLosesWholeBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	mem := vfs.NewCrashableMem()
	db := openTest(t, dbDir, Options{FS: mem, MemtableBytes: 256 << 10})
	pad := make([]byte, 20<<10) // fills a memtable every few batches
	flushed, lost, background := uint64(0), 0, 0
	for n := uint64(1); n <= 300; n++ {
		for i := range pad {
			pad[i] = byte(rng.Uint32())
		}
		crashBatch(t, db, n, pad)
		if rng.IntN(40) == 0 {
			check(t, db.Flush())
			flushed = n
		}
		if rng.IntN(5) != 0 {
			continue
		}
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng}
		crashed := openTest(t, dbDir, Options{FS: mem.CrashClone(cfg)})
		found := verifyPrefix(t, crashed)
		check(t, crashed.Close())
		switch {
		case found < flushed || found > n:
			t.Fatalf("batch %d found after a crash at %d, flushed up to %d", found, n, flushed)
		case found < n:
			lost++
		}
		if found > flushed {
			background++
		}
	}
	if lost == 0 || background == 0 {
		t.Errorf("%d crashes lost batches, %d found more than was flushed: the test shows nothing", lost, background)
	}
	if got := verifyPrefix(t, db); got != 300 {
		t.Errorf("the database that didn't crash is at %d", got)
	}
	check(t, db.Close())
	reopened := openTest(t, dbDir, Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	if got := verifyPrefix(t, reopened); got != 300 {
		t.Errorf("at %d after Close and a crash", got)
	}
	check(t, reopened.Close())
}

// TestFlushedSurvivesCrash: without a log, Flush alone keeps what was committed.
func TestFlushedSurvivesCrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	db := openTest(t, dbDir, Options{FS: mem})
	for n := uint64(1); n <= 20; n++ {
		crashBatch(t, db, n, nil)
		before := openTest(t, dbDir, Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
		if got := verifyPrefix(t, before); got != n-1 {
			t.Errorf("at %d after a crash before the flush of batch %d", got, n)
		}
		check(t, before.Close())
		check(t, db.Flush())
		behind := openTest(t, dbDir, Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
		if got := verifyPrefix(t, behind); got != n {
			t.Errorf("at %d after a crash behind the flush of batch %d", got, n)
		}
		check(t, behind.Close())
	}
	check(t, db.Close())
}

// TestHugeBatchIsAtomic: a batch larger than a memtable goes another way
// through Pebble, and is there whole or not at all.
func TestHugeBatchIsAtomic(t *testing.T) {
	mem := vfs.NewCrashableMem()
	db := openTest(t, dbDir, Options{FS: mem})
	crashBatch(t, db, 1, nil)
	crashBatch(t, db, 2, make([]byte, memtableBytes))
	crashBatch(t, db, 3, nil)
	for range 20 {
		crashed := openTest(t, dbDir, Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
		verifyPrefix(t, crashed)
		check(t, crashed.Close())
	}
	check(t, db.Flush())
	crashed := openTest(t, dbDir, Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	if got := verifyPrefix(t, crashed); got != 3 {
		t.Errorf("at %d after a flush and a crash", got)
	}
	check(t, crashed.Close())
	check(t, db.Close())
}

// TestCheckpointAfterFlush: a checkpoint has all that was flushed, no more, and
// is a database of its own.
func TestCheckpointAfterFlush(t *testing.T) {
	mem := vfs.NewCrashableMem()
	db := openTest(t, dbDir, Options{FS: mem})
	for n := uint64(1); n <= 50; n++ {
		crashBatch(t, db, n, make([]byte, 10<<10))
	}
	check(t, db.Flush())
	crashBatch(t, db, 51, nil)
	check(t, db.Checkpoint("ckpt"))
	if err := db.Checkpoint("ckpt"); err == nil {
		t.Error("a checkpoint overwrote another")
	}
	crashBatch(t, db, 52, nil)
	check(t, db.Flush())

	// The checkpoint itself is on disk as soon as it is made.
	for _, fs := range []vfs.FS{mem.CrashClone(vfs.CrashCloneCfg{}), mem} {
		ckpt := openTest(t, "ckpt", Options{FS: fs})
		if got := verifyPrefix(t, ckpt); got != 50 {
			t.Errorf("the checkpoint is at %d, want 50", got)
		}
		crashBatch(t, ckpt, 51, nil)
		check(t, ckpt.Close())
	}
	if got := verifyPrefix(t, db); got != 52 {
		t.Errorf("the database is at %d, want 52", got)
	}
	check(t, db.Close())
}
