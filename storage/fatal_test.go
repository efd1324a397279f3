package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

const (
	doomEnv  = "STORAGE_TEST_DOOM" // which of dooms the process runs
	dirEnv   = "STORAGE_TEST_DIR"
	doomExit = 43 // the exit code when Fatal was called
)

// dooms end in Fatal, so that each needs a process of its own. They return
// only where Fatal wasn't called.
var dooms = map[string]func(dir string, fatal func(error)) error{
	"fsync fails": func(dir string, fatal func(error)) error {
		return flushOn(dir, fatal, func(k errorfs.OpKind) error {
			if k == errorfs.OpFileSync || k == errorfs.OpFileSyncData || k == errorfs.OpFileSyncTo {
				return syscall.EIO
			}
			return nil
		})
	},
	"disk is full": func(dir string, fatal func(error)) error {
		return flushOn(dir, fatal, func(k errorfs.OpKind) error {
			if k == errorfs.OpFileWrite || k == errorfs.OpFilePreallocate {
				return syscall.ENOSPC
			}
			return nil
		})
	},
	"table has rotted": func(dir string, fatal func(error)) error {
		db, err := Open(dir, Options{Fatal: fatal})
		if err != nil {
			return err
		}
		return db.ScanRecords(1, 1, 1, "", benchRecords, func(string, Fingerprint, Content) error { return nil })
	},
}

// flushOn flushes a full memtable to a disk that has begun to fail.
func flushOn(dir string, fatal func(error), fail func(errorfs.OpKind) error) error {
	var broken atomic.Bool
	disk := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && !strings.Contains(op.Path, "OPTIONS") {
			return fail(op.Kind)
		}
		return nil
	}))
	db, err := Open(dir, Options{Fatal: fatal, FS: disk})
	if err != nil {
		return err
	}
	b := db.NewBatch()
	for i := range benchBatchRows {
		putRecord(b, 1, 1, 1, benchID(i))
	}
	if err := errors.Join(b.Commit(), b.Close()); err != nil {
		return err
	}
	broken.Store(true)
	return db.Flush()
}

// runDoom is the main function of the process that a doom gets.
func runDoom(name string) {
	err := dooms[name](os.Getenv(dirEnv), func(err error) {
		fmt.Printf("corrupt=%v %v\n", errors.Is(err, ErrCorrupt), err)
		os.Exit(doomExit)
	})
	fmt.Println("survived:", err)
	os.Exit(0)
}

func TestFatal(t *testing.T) {
	for _, c := range []struct {
		doom    string
		prepare func(tb testing.TB, dir string)
		want    []string
	}{
		{"fsync fails", nil, []string{"corrupt=false", syscall.EIO.Error()}},
		{"disk is full", nil, []string{"corrupt=false", syscall.ENOSPC.Error(), "make room"}},
		{"table has rotted", rotTables, []string{"corrupt=true", "checksum mismatch", ".sst"}},
	} {
		t.Run(c.doom, func(t *testing.T) {
			dir := t.TempDir()
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), doomEnv+"="+c.doom, dirEnv+"="+dir)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != doomExit {
				t.Fatalf("Fatal wasn't called: %v\n%s", err, out)
			}
			for _, want := range c.want {
				if !bytes.Contains(out, []byte(want)) {
					t.Errorf("Fatal got %q, want it to say %q", out, want)
				}
			}
		})
	}
}

// rotTables makes a database and flips one bit in the middle of each table.
func rotTables(tb testing.TB, dir string) {
	db := openTest(tb, dir, Options{})
	fillRecords(tb, db, 0, 20_000)
	check(tb, db.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	check(tb, err)
	if len(tables) == 0 {
		tb.Fatal("no tables")
	}
	for _, path := range tables {
		data, err := os.ReadFile(path)
		check(tb, err)
		data[len(data)/2] ^= 0x10
		check(tb, os.WriteFile(path, data, 0o600))
	}
}

// TestFatalThatReturnsPanics: what Pebble's callers may rely on holds with any
// Fatal, and with none.
func TestFatalThatReturnsPanics(t *testing.T) {
	cause := errors.New("cause")
	for name, stop := range map[string]func(error){"returns": func(error) {}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if err, ok := recover().(error); !ok || !errors.Is(err, cause) {
					t.Errorf("recovered %v, want the cause", err)
				}
			}()
			newEvents(Options{Fatal: stop}).Fatalf("commit failed: %v", cause)
			t.Error("Fatalf returned")
		})
	}
}

// TestUnreadableRow: a row that an intact block holds but that doesn't decode
// is an error that names the row, without the id in it.
func TestUnreadableRow(t *testing.T) {
	db := openMem(t)
	const id = "customer-data"
	check(t, db.pebble.Set(appendFingerprintKey(nil, 3, 4, 5, id), []byte{2}, pebble.NoSync))
	check(t, db.pebble.Set(appendFingerprintKey(nil, 3, 4, 6, id), encodeRow(Fingerprint{}), pebble.NoSync))
	check(t, db.pebble.Set(appendOrgKey(nil, id), nil, pebble.NoSync))
	scanned := func(string, Fingerprint, Content) error { return nil }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"Org":      {second(db.Org(id)), "organization row"},
		"ScanOrgs": {db.ScanOrgs("", 1, func(string, Org) error { return nil }), "organization row"},
		"Fingerprints": {db.Fingerprints(3, 4, 5, []string{id}, func(int, Fingerprint, bool) error { return nil }),
			"fingerprint row of store 3, namespace 4, generation 5"},
		"Record":            {third(db.Record(3, 4, 5, id)), "version 2"},
		"ScanRecords":       {db.ScanRecords(3, 4, 5, "", 1, scanned), "version 2"},
		"Record, no R":      {third(db.Record(3, 4, 6, id)), "missing beside its fingerprint"},
		"ScanRecords, no R": {db.ScanRecords(3, 4, 6, "", 1, scanned), "missing beside its fingerprint"},
	} {
		if !errors.Is(c.err, ErrCorrupt) || !strings.Contains(fmt.Sprint(c.err), c.want) || strings.Contains(fmt.Sprint(c.err), id) {
			t.Errorf("%s: error %v, want ErrCorrupt with %q and without the id", name, c.err, c.want)
		}
	}
}

// TestReadErrors: where the disk can't be read, no call may say that a row isn't
// there.
func TestReadErrors(t *testing.T) {
	mem := vfs.NewMem()
	db := openTest(t, dbDir, Options{FS: mem})
	fillRecords(t, db, 0, benchBatchRows)
	b := db.NewBatch()
	for _, name := range []string{"a", "z"} { // on both sides of what is looked for
		b.PutOrg(name, Org{})
		b.PutWindowSlot(1, uint64(name[0]-'a'), WindowSlot{})
	}
	commit(t, b)
	check(t, db.Close())

	var broken atomic.Bool
	disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileReadAt {
			return syscall.EIO
		}
		return nil
	}))
	db = openTest(t, dbDir, Options{FS: disk, CacheBytes: 1}) // of what was read nothing stays
	// Pebble's own reading in the background would call Fatal.
	db.awaitFilter()
	for !db.pebble.Metrics().Table.InitialStatsCollectionComplete {
		runtime.Gosched()
	}
	id := benchID(7)
	visited := 0
	broken.Store(true)
	for name, err := range map[string]error{
		"System":       func() error { _, err := db.System(); return err }(),
		"Org":          second(db.Org("o")),
		"WindowSlot":   second(db.WindowSlot(1, 1)),
		"Record":       third(db.Record(1, 1, 1, id)),
		"ScanOrgs":     db.ScanOrgs("", 1, func(string, Org) error { visited++; return nil }),
		"ScanRecords":  db.ScanRecords(1, 1, 1, "", 1, func(string, Fingerprint, Content) error { visited++; return nil }),
		"Fingerprints": db.Fingerprints(1, 1, 1, []string{id}, func(int, Fingerprint, bool) error { visited++; return nil }),
		"ContentSizes": db.ContentSizes(1, 1, 1, []Seq{{0, 7}}, func(Seq, uint64) { visited++ }),
	} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: error %v, want EIO", name, err)
		}
	}
	if visited > 0 {
		t.Errorf("%d visits of rows that couldn't be read", visited)
	}
	broken.Store(false)
	if _, _, found, err := db.Record(1, 1, 1, id); err != nil || !found {
		t.Errorf("with the disk back: %v, %v", found, err)
	}
	check(t, db.Close())
}

func second[T any](_ T, _ bool, err error) error        { return err }
func third[T, U any](_ T, _ U, _ bool, err error) error { return err }
