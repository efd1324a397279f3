package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"
)

// fillLog makes a log of entries from first to last and then cuts it before kept.
func fillLog(t *testing.T, dir string, last, kept uint64) {
	t.Helper()
	file, err := openBolt(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= last; i++ {
		if err := file.StoreLog(logEntry(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.DeleteRange(1, kept-1); err != nil {
		t.Fatal(err)
	}
	if err := file.SetUint64([]byte("CurrentTerm"), 7); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// A page that can't be read is an error of the copy, which leaves no file open.
func TestCopyOfAnUnreadableLogFails(t *testing.T) {
	dir := t.TempDir()
	path, whole, _ := pagedLog(t, dir)
	for at := 2 * os.Getpagesize(); at < len(whole); at++ { // but for the meta pages
		whole[at] = 0xff
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, compactedName)
	if err := copyLog(path, to); !unreadable(err) {
		t.Errorf("%v", err)
	}
	for _, path := range []string{path, to} {
		file, err := os.Open(path)
		if err == nil {
			err = errors.Join(unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB), file.Close())
		}
		if err != nil {
			t.Errorf("%s is in use: %v", path, err)
		}
	}
}

func logEntry(i uint64) *raft.Log {
	return &raft.Log{Index: i, Term: 3, Data: bytes.Repeat([]byte{byte(i)}, 35_000)}
}

func TestLogIsCompacted(t *testing.T) {
	for name, c := range map[string]struct {
		kept    uint64 // the first of 100 entries that is left
		least   int64  // size from which on it is compacted
		smaller bool
	}{
		"mostly free":      {kept: 91, smaller: true},
		"mostly used":      {kept: 31},
		"small in any way": {kept: 91, least: 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fillLog(t, dir, 100, c.kept)
			path := filepath.Join(dir, logFileName)
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			// What an earlier start has left.
			if err := os.WriteFile(filepath.Join(dir, compactedName), []byte("half a file"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := compactLog(dir, c.least, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			after, err := os.Stat(path)
			if err != nil || after.Size() < before.Size()/2 != c.smaller || after.Mode() != before.Mode() {
				t.Errorf("%d bytes %v become %d %v, %v", before.Size(), before.Mode(), after.Size(), after.Mode(), err)
			}
			if names, err := filepath.Glob(filepath.Join(dir, "*")); len(names) != 1 || err != nil {
				t.Errorf("left behind: %v, %v", names, err)
			}
			file, err := openBolt(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			first, _ := file.FirstIndex()
			last, _ := file.LastIndex()
			term, err := file.GetUint64([]byte("CurrentTerm"))
			if first != c.kept || last != 100 || term != 7 || err != nil {
				t.Errorf("entries from %d to %d, term %d, %v", first, last, term, err)
			}
			for i := first; i <= last; i++ {
				var got raft.Log
				if err := file.GetLog(i, &got); err != nil || !bytes.Equal(got.Data, logEntry(i).Data) || got.Term != 3 {
					t.Errorf("entry %d: %d bytes of term %d, %v", i, len(got.Data), got.Term, err)
				}
			}
		})
	}
}

// Where there is no room, or no right, for another file the log is used as it is.
func TestLogThatCannotBeCompacted(t *testing.T) {
	dir := t.TempDir()
	fillLog(t, dir, 100, 91)
	path := filepath.Join(dir, logFileName)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A directory of that name is no file to write to.
	if err := os.MkdirAll(filepath.Join(dir, compactedName, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := compactLog(dir, 0, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), compactedName) {
		t.Errorf("no error: %v", err)
	}
	if after, err := os.ReadFile(path); !bytes.Equal(before, after) || err != nil {
		t.Error(fmt.Errorf("the log has changed: %w", err))
	}
}

// One that ended before it had made a file leaves nothing to remove.
func TestRemoveCompacted(t *testing.T) {
	if err := removeCompacted(filepath.Join(t.TempDir(), compactedName)); err != nil {
		t.Error(err)
	}
}
