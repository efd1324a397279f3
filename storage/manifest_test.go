package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// manifestOf is the path and the bytes of a closed database's manifest.
func manifestOf(t *testing.T, disk vfs.FS) (path string, content []byte) {
	t.Helper()
	desc, err := pebble.Peek(dbDir, disk)
	check(t, err)
	content, err = readAll(disk, desc.ManifestFilename)
	check(t, err)
	return desc.ManifestFilename, content
}

func overwrite(t *testing.T, disk vfs.FS, path string, content []byte) {
	t.Helper()
	file, err := disk.Create(path, vfs.WriteCategoryUnspecified)
	check(t, err)
	_, err = file.Write(bytes.Clone(content)) // under the race detector the file system spoils what it is given
	check(t, errors.Join(err, file.Close()))
}

// flushes makes a database with so many tables.
func flushes(t *testing.T, disk vfs.FS, n int) {
	t.Helper()
	db := openTest(t, dbDir, Options{FS: disk})
	for i := range n {
		crashBatch(t, db, uint64(i+1), nil)
		check(t, db.Flush())
	}
	check(t, db.Close())
}

// Rot is told from the end of a file that a crash has cut off: Pebble takes both for the end,
// and would remove the tables that the records behind it add.
func TestARottedManifestIsRefused(t *testing.T) {
	disk := vfs.NewMem()
	flushes(t, disk, 2)
	path, whole := manifestOf(t, disk)
	tables := func() []string {
		all, err := disk.List(dbDir)
		check(t, err)
		slices.Sort(all)
		return slices.DeleteFunc(all, func(name string) bool { return !strings.HasSuffix(name, ".sst") })
	}
	before := tables()
	end, n := wholeRecords(whole)
	if end != len(whole) || n < 3 || len(before) == 0 {
		t.Fatalf("%d of %d bytes are %d records, with %d tables: the test proves nothing", end, len(whole), n, len(before))
	}
	last, first := 0, 0 // where these end and begin
	for at := range whole {
		if end, records := wholeRecords(whole[:at]); records == n-1 {
			last = end
		} else if records == 1 {
			first = end
		}
	}
	for at := range last {
		rotted := bytes.Clone(whole)
		rotted[at] ^= 1 << (at % 8)
		overwrite(t, disk, path, rotted)
		_, err := Open(dbDir, Options{FS: disk})
		if !errors.Is(err, ErrRot) || !strings.Contains(err.Error(), path) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	if after := tables(); !slices.Equal(after, before) {
		t.Errorf("tables %v became %v", before, after)
	}
	for at := first; at <= len(whole); at++ {
		overwrite(t, disk, path, whole[:at])
		if err := checkManifest(disk, dbDir); err != nil {
			t.Errorf("cut off at byte %d: %v", at, err)
		}
	}
	overwrite(t, disk, path, whole[:last+3])
	db := openTest(t, dbDir, Options{FS: disk})
	verifyPrefix(t, db)
	check(t, db.Close())
	path, _ = manifestOf(t, disk)
	overwrite(t, disk, path, nil)
	if err := checkManifest(disk, dbDir); !errors.Is(err, ErrRot) {
		t.Errorf("an empty one: %v", err)
	}
}

// A table that the manifest names and that isn't there is rot too.
func TestAMissingTableIsRefused(t *testing.T) {
	disk := vfs.NewMem()
	flushes(t, disk, 2)
	names, err := disk.List(dbDir)
	check(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			check(t, disk.Remove(disk.PathJoin(dbDir, name)))
		}
	}
	if _, err := Open(dbDir, Options{FS: disk}); !errors.Is(err, ErrRot) {
		t.Error(err)
	}
}

// What is said here of the format is what Pebble writes: records of many chunks, and blocks
// whose ends are too short for one.
func TestRecordsAreThosePebbleReads(t *testing.T) {
	for _, size := range []int{1, manifestBlockBytes - 2*chunkHeaderBytes - 1, manifestBlockBytes - chunkHeaderBytes - 3, 3 * manifestBlockBytes} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var file bytes.Buffer
			w := record.NewWriter(&file)
			for range 3 {
				_, err := w.WriteRecord(bytes.Repeat([]byte("x"), size))
				check(t, err)
			}
			check(t, w.Close())
			b := file.Bytes()
			if end, n := wholeRecords(b); end != len(b) || n != 3 {
				t.Errorf("%d records in %d of %d bytes", n, end, len(b))
			}
			b[chunkHeaderBytes] ^= 1
			read := 0
			for in := record.NewReader(bytes.NewReader(b), 0); ; read++ {
				r, err := in.Next()
				if err == nil {
					_, err = io.Copy(io.Discard, r)
				}
				if err != nil {
					break
				}
			}
			end, n := wholeRecords(b)
			if n != read || nextRecord(b, end) < 0 {
				t.Errorf("Pebble reads %d records, and here are %d, the next at %d", read, n, nextRecord(b, end))
			}
		})
	}
}
