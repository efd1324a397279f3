package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestEmptyDatabase(t *testing.T) {
	db := openMem(t)
	if s, err := db.System(); err != nil || s != (System{}) {
		t.Errorf("System = %+v, %v", s, err)
	}
	if h, err := db.WindowHead(1); err != nil || h != (WindowHead{}) {
		t.Errorf("WindowHead = %+v, %v", h, err)
	}
	if u, err := db.Usage(0, 0); err != nil || u != (Usage{}) {
		t.Errorf("Usage = %+v, %v", u, err)
	}
	absent := map[string]func() (bool, error){
		"Settings":   func() (bool, error) { _, ok, err := db.Settings(); return ok, err },
		"Org":        func() (bool, error) { _, ok, err := db.Org("o"); return ok, err },
		"Key":        func() (bool, error) { _, ok, err := db.Key("k"); return ok, err },
		"Store":      func() (bool, error) { _, ok, err := db.Store(1, "s"); return ok, err },
		"Namespace":  func() (bool, error) { _, ok, err := db.Namespace(1, "n"); return ok, err },
		"WindowSlot": func() (bool, error) { _, ok, err := db.WindowSlot(1, 1); return ok, err },
		"Record":     func() (bool, error) { _, _, ok, err := db.Record(1, 1, 1, "i"); return ok, err },
	}
	for name, read := range absent {
		if ok, err := read(); err != nil || ok {
			t.Errorf("%s = %v, %v", name, ok, err)
		}
	}
}

// TestDeleteAfterRewrites: a deleted row stays away, however often it was
// written and whatever compactions do with what is left of it.
func TestDeleteAfterRewrites(t *testing.T) {
	db := openMem(t)
	for range 3 {
		write(t, db, func(b *Batch) {
			putRecord(b, 1, 1, 1, "id")
			b.PutWindowSlot(1, 1, WindowSlot{At: 1})
		})
		check(t, db.Flush())
	}
	write(t, db, func(b *Batch) {
		b.DeleteFingerprint(1, 1, 1, "id")
		b.DeleteContent(1, 1, 1, changeOf("id"))
		b.DeleteWindowSlot(1, 1)
	})
	check(t, db.Flush())
	for range 2 {
		if ids := recordIDs(t, db, 1, 1, 1); len(ids) > 0 {
			t.Errorf("deleted records: %q", ids)
		}
		if _, found, err := db.WindowSlot(1, 1); err != nil || found {
			t.Errorf("deleted slot: found %v, %v", found, err)
		}
		check(t, db.pebble.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	}
}

func TestBatchOrderAndAbandon(t *testing.T) {
	db := openMem(t)
	write(t, db, func(b *Batch) {
		b.PutOrg("o", Org{Num: 1})
		b.PutOrg("o", Org{Num: 2})
		putRecord(b, 1, 1, 1, "dropped")
		b.DropGeneration(1, 1, 1)
		putRecord(b, 1, 1, 1, "kept")
	})
	abandoned := db.NewBatch()
	abandoned.PutOrg("o", Org{Num: 3})
	check(t, abandoned.Close())
	if o, _, err := db.Org("o"); err != nil || o.Num != 2 {
		t.Errorf("org is %+v, %v, want the later of two writes", o, err)
	}
	if got := recordIDs(t, db, 1, 1, 1); len(got) != 1 || got[0] != "kept" {
		t.Errorf("records are %q, want only what was added after the drop", got)
	}
}

func TestSnapshotStaysTheSame(t *testing.T) {
	db := openMem(t)
	write(t, db, func(b *Batch) {
		putRecord(b, 1, 1, 1, "old")
		b.SetSystem(&System{AppliedIndex: 1})
	})
	s := db.Snapshot()
	write(t, db, func(b *Batch) {
		b.DropGeneration(1, 1, 1)
		putRecord(b, 1, 1, 1, "new")
		b.SetSystem(&System{AppliedIndex: 2})
	})
	check(t, db.Flush())
	for _, c := range []struct {
		r     Reader
		index uint64
		id    string
	}{{s, 1, "old"}, {db, 2, "new"}} {
		sys, err := c.r.System()
		check(t, err)
		ids := recordIDs(t, c.r, 1, 1, 1)
		if sys.AppliedIndex != c.index || len(ids) != 1 || ids[0] != c.id {
			t.Errorf("%T has index %d and records %q", c.r, sys.AppliedIndex, ids)
		}
	}
	check(t, s.Close())
}

// TestPrivateDirectories: nobody else can enter a database or a checkpoint.
func TestPrivateDirectories(t *testing.T) {
	base := t.TempDir()
	dir, ckpt := filepath.Join(base, "new", "db"), filepath.Join(base, "ckpt", "1")
	db := openTest(t, dir, Options{})
	write(t, db, func(b *Batch) { b.SetSystem(&System{AppliedIndex: 1}) })
	check(t, db.Flush())
	check(t, db.Checkpoint(ckpt))
	check(t, db.Close())
	for _, d := range []string{dir, filepath.Dir(dir), ckpt, filepath.Dir(ckpt)} {
		info, err := os.Stat(d)
		check(t, err)
		if got := info.Mode().Perm(); got != 0o700 {
			t.Errorf("%s has mode %o, want 700", d, got)
		}
	}
}

func TestOpenTwiceFails(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir, Options{})
	if second, err := Open(dir, Options{}); err == nil {
		_ = second.Close()
		t.Error("a directory in use was opened")
	}
	check(t, db.Close())
}

// TestFormatVersionIsPinned: the version on disk is this number and no other,
// also with a newer Pebble, until the constant is changed on purpose.
func TestFormatVersionIsPinned(t *testing.T) {
	const want = 21
	dir := t.TempDir()
	db := openTest(t, dir, Options{})
	if got := db.Metrics().FormatVersion; got != want {
		t.Errorf("format version %d, want %d", got, want)
	}
	check(t, db.Close())
	markers, err := fs.Glob(os.DirFS(dir), "marker.format-version.*.021")
	if err != nil || len(markers) != 1 {
		t.Errorf("format markers %q, %v", markers, err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	mem := vfs.NewMem()
	newer, err := pebble.Open(dbDir, &pebble.Options{FS: mem, FormatMajorVersion: pebble.FormatNewest, Logger: newEvents(Options{})})
	check(t, err)
	check(t, newer.Close())
	db, err := Open(dbDir, Options{FS: mem})
	if err == nil {
		_ = db.Close()
		t.Fatal("a directory in a newer format was opened")
	}
	if !strings.Contains(err.Error(), "older than the directory") {
		t.Errorf("error %q doesn't name the cause", err)
	}
}

func TestMetrics(t *testing.T) {
	db := openMem(t)
	fillRecords(t, db, 0, 10_000)
	check(t, db.Flush())
	check(t, db.ScanRecords(1, 1, 1, "", 100, func(string, Fingerprint, Content) error { return nil }))
	s := db.Snapshot()
	m := db.Metrics()
	check(t, s.Close())
	if m.DiskBytes < 10_000*benchRecordSize || m.Flushes == 0 || m.Tables == 0 || m.OpenSnapshots != 1 || m.CacheBytes == 0 {
		t.Errorf("metrics %+v after 10,000 records", m)
	}
}

func TestVisitErrorStops(t *testing.T) {
	db := openMem(t)
	write(t, db, func(b *Batch) {
		for _, name := range []string{"a", "b"} {
			b.PutOrg(name, Org{})
			b.PutKey(name, Key{})
			b.PutOrgKey(1, name)
			b.PutStore(1, name, Store{})
			b.PutNamespace(1, name, Namespace{})
			putRecord(b, 1, 1, 1, name)
		}
	})
	stop := errors.New("stop")
	calls := 0
	seen := func() error { calls++; return stop }
	for name, scan := range map[string]func() error{
		"ScanOrgs":       func() error { return db.ScanOrgs("", 9, func(string, Org) error { return seen() }) },
		"ScanKeys":       func() error { return db.ScanKeys("", 9, func(string, Key) error { return seen() }) },
		"ScanOrgKeys":    func() error { return db.ScanOrgKeys(1, "", 9, func(string) error { return seen() }) },
		"ScanStores":     func() error { return db.ScanStores(1, "", 9, func(string, Store) error { return seen() }) },
		"ScanNamespaces": func() error { return db.ScanNamespaces(1, "", 9, func(string, Namespace) error { return seen() }) },
		"ScanRecords": func() error {
			return db.ScanRecords(1, 1, 1, "", 9, func(string, Fingerprint, Content) error { return seen() })
		},
		"Fingerprints": func() error {
			return db.Fingerprints(1, 1, 1, []string{"a", "b"}, func(int, Fingerprint, bool) error { return seen() })
		},
	} {
		calls = 0
		if err := scan(); !errors.Is(err, stop) || calls != 1 {
			t.Errorf("%s: error %v after %d calls", name, err, calls)
		}
	}
}
