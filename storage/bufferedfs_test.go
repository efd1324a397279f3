package storage

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"
)

const tableName = "000004.sst"

// TestBufferedTableIsWhatWasWritten: in whatever pieces a table is written and read, with
// whatever syncs between them, it is as without a buffer.
func TestBufferedTableIsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewCrashableMem()
		fs := bufferedFS{mem}
		file, err := fs.Create(tableName, vfs.WriteCategoryUnspecified)
		check(t, err)
		dir, err := fs.OpenDir("")
		check(t, err)
		check(t, dir.Sync())
		lengths := rapid.IntRange(0, 3*tableBufferBytes)
		rng := rand.NewChaCha8([32]byte{})
		var want []byte
		for range rapid.IntRange(0, 6).Draw(t, "writes") {
			piece := make([]byte, lengths.Draw(t, "length"))
			_, _ = rng.Read(piece)
			n, err := file.Write(bytes.Clone(piece))
			check(t, err)
			if n != len(piece) {
				t.Fatalf("%d of %d bytes were written", n, len(piece))
			}
			want = append(want, piece...)
			if rapid.Bool().Draw(t, "sync") {
				check(t, file.Sync())
				wantFile(t, mem.CrashClone(vfs.CrashCloneCfg{}), want)
			}
		}
		check(t, file.Close())
		wantFile(t, mem, want)

		read, err := fs.Open(tableName, vfs.SequentialReadsOption)
		check(t, err)
		plain := bytes.NewReader(want)
		next := int64(0)
		for range 20 {
			off := next
			if rapid.Bool().Draw(t, "elsewhere") {
				off = rapid.Int64Range(0, int64(len(want))+10).Draw(t, "offset")
			}
			got, wanted := make([]byte, lengths.Draw(t, "length")), make([]byte, 3*tableBufferBytes)
			wanted = wanted[:len(got)]
			next = off + int64(len(got))
			n, err := read.ReadAt(got, off)
			m, wantErr := plain.ReadAt(wanted, off)
			// At the end of a file either way of saying so is right.
			if n != m || !bytes.Equal(got[:n], wanted[:m]) || n < len(got) && !errors.Is(err, wantErr) {
				t.Fatalf("%d bytes at %d of %d are %d, %v, want %d, %v", len(got), off, len(want), n, err, m, wantErr)
			}
		}
		check(t, read.Close())
	})
}

func wantFile(t *rapid.T, fs vfs.FS, want []byte) {
	t.Helper()
	file, err := fs.Open(tableName)
	check(t, err)
	got, err := io.ReadAll(file)
	check(t, errors.Join(err, file.Close()))
	if !bytes.Equal(got, want) {
		t.Fatalf("the table has %d bytes, which aren't the %d that were written", len(got), len(want))
	}
}

// TestFailedWriteStays: a table that couldn't be written once is not there whole
// because the disk works again.
func TestFailedWriteStays(t *testing.T) {
	var broken atomic.Bool
	fs := bufferedFS{errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	}))}
	file, err := fs.Create(tableName, vfs.WriteCategoryUnspecified)
	check(t, err)
	broken.Store(true)
	if _, err := file.Write(make([]byte, tableBufferBytes+1)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write to a full disk: %v", err)
	}
	broken.Store(false)
	for what, do := range map[string]func() error{
		"write":     func() error { _, err := file.Write([]byte("more")); return err },
		"sync":      file.Sync,
		"sync data": file.SyncData,
		"sync to":   func() error { _, err := file.SyncTo(1); return err },
		"stat":      func() error { _, err := file.Stat(); return err },
	} {
		if err := do(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s after that: %v", what, err)
		}
	}
	if err := file.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close after that: %v", err)
	}
}

// watchedFS asks before so many bytes of a file are read.
type watchedFS struct {
	vfs.FS
	before func(off int64, length int) error
}

func (fs watchedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := fs.FS.Open(name, opts...)
	return watchedFile{file, fs.before}, err
}

type watchedFile struct {
	vfs.File
	before func(off int64, length int) error
}

func (f watchedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.before(off, len(p)); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// openZeroes opens a table of so many zeroes, to be read in order.
func openZeroes(t *testing.T, length int, before func(off int64, length int) error) vfs.File {
	t.Helper()
	mem := vfs.NewMem()
	file, err := mem.Create(tableName, vfs.WriteCategoryUnspecified)
	check(t, err)
	_, err = file.Write(make([]byte, length))
	check(t, errors.Join(err, file.Close()))
	table, err := bufferedFS{watchedFS{mem, before}}.Open(tableName, vfs.SequentialReadsOption)
	check(t, err)
	return table
}

// TestBadSectorFailsOnlyItsOwn: what lies in front of a bad sector can be read.
func TestBadSectorFailsOnlyItsOwn(t *testing.T) {
	table := openZeroes(t, 2*tableBufferBytes, func(off int64, length int) error {
		if off+int64(length) > 1000 {
			return syscall.EIO
		}
		return nil
	})
	for _, off := range []int64{800, 900} {
		if n, err := table.ReadAt(make([]byte, 100), off); n != 100 || err != nil {
			t.Errorf("in front of a bad sector %d of 100 bytes are read, %v", n, err)
		}
	}
	if _, err := table.ReadAt(make([]byte, 100), 901); !errors.Is(err, syscall.EIO) {
		t.Errorf("a bad sector is read: %v", err)
	}
	check(t, table.Close())
}

// TestTablesAreWrittenAndReadInLargePieces: neither a flush nor a compaction makes a
// call of the system for each block.
func TestTablesAreWrittenAndReadInLargePieces(t *testing.T) {
	var writes, reads atomic.Int64
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".sst") {
			switch op.Kind {
			case errorfs.OpFileWrite:
				writes.Add(1)
			case errorfs.OpFileReadAt:
				reads.Add(1)
			}
		}
		return nil
	}))
	db := openTest(t, dbDir, Options{FS: disk})
	rows := 4 * benchBatchRows
	fillRecords(t, db, 0, rows)
	check(t, db.Flush())
	fillRecords(t, db, 0, rows)
	check(t, db.Flush())
	bytes := db.pebble.Metrics().Levels[0].TableBytesFlushed
	if n := writes.Load(); uint64(n) > bytes/tableBufferBytes*2 {
		t.Errorf("%d bytes were flushed in %d writes", bytes, n)
	}
	reads.Store(0)
	check(t, db.pebble.Compact(t.Context(), []byte{byte(kindFingerprint)}, []byte{byte(kindChange)}, false))
	if n := reads.Load(); uint64(n) > bytes/tableBufferBytes*2 {
		t.Errorf("%d bytes were compacted in %d reads", bytes, n)
	}
	check(t, db.Close())
}

// TestLooksFarApartReadSmallPieces: Pebble takes them for a scan when their keys ascend.
func TestLooksFarApartReadSmallPieces(t *testing.T) {
	const pieces, piece = 10, 100
	read := 0
	table := openZeroes(t, pieces*tableBufferBytes, func(_ int64, length int) error {
		read += length
		return nil
	})
	for i := range int64(pieces) {
		_, err := table.ReadAt(make([]byte, piece), i*tableBufferBytes+1)
		check(t, err)
	}
	if read != pieces*piece {
		t.Errorf("%d bytes were read for %d", read, pieces*piece)
	}
	check(t, table.Close())
}
