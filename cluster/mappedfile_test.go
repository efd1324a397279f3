package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
)

// The kernel can't give what was cut off a file that is mapped, just as it can't give
// what the disk fails to read: whoever touches it gets SIGBUS.
func TestUnreadablePagesAreErrors(t *testing.T) {
	for name, do := range map[string]func(*logStore) error{
		"an entry":            func(s *logStore) error { return s.log.GetLog(1, new(raft.Log)) },
		"the first index":     func(s *logStore) error { _, err := s.log.FirstIndex(); return err },
		"the last index":      func(s *logStore) error { _, err := s.log.LastIndex(); return err },
		"a variable":          func(s *logStore) error { _, err := s.variables.Get([]byte("LastVoteCand")); return err },
		"the term":            func(s *logStore) error { _, err := s.variables.GetUint64([]byte("CurrentTerm")); return err },
		"an append":           func(s *logStore) error { return s.log.StoreLogs(testEntries(1)) },
		"an append of one":    func(s *logStore) error { return s.log.StoreLog(testEntries(1)[0]) },
		"a cut":               func(s *logStore) error { return s.log.DeleteRange(1, 2) },
		"a write of the vote": func(s *logStore) error { return s.variables.Set([]byte("LastVoteCand"), []byte("n1")) },
		"a write of the term": func(s *logStore) error { return s.variables.SetUint64([]byte("CurrentTerm"), 2) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			store, told := openTestLog(t, dir)
			err := errors.Join(store.metered.StoreLogs(testEntries(5)), store.variables.SetUint64([]byte("CurrentTerm"), 1))
			if err == nil {
				err = os.Truncate(filepath.Join(dir, logFileName), 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			store.alarm.started.Store(true)
			err = do(store)
			if err == nil || !strings.Contains(err.Error(), errFault.Error()) || !strings.Contains(err.Error(), startCure) {
				t.Errorf("%v", err)
			}
			if len(*told) != 1 || !unreadable((*told)[0]) {
				t.Errorf("told %v", *told)
			}
			if err := store.file.Close(); err != nil {
				t.Errorf("closing it: %v", err)
			}
		})
	}
}

// A directory has a size and can be opened, and fails to be read.
func TestUnreadableFileRefusesToOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, logFileName)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() < metaPages*minPageBytes {
		t.Skip(info.Size(), err) // on some file systems it has none
	}
	if file, err := openBolt(dir); !unreadable(err) || !errors.Is(err, syscall.EISDIR) {
		t.Errorf("%v", err)
		if err == nil {
			_ = file.Close()
		}
	}
}

// A page that rots under a process that runs makes bbolt panic.
func TestPanicsAtAPageAreErrors(t *testing.T) {
	for name, do := range map[string]func(*logStore) error{
		"an append": func(s *logStore) error { return s.log.StoreLog(&raft.Log{Index: 401}) },
		"a cut":     func(s *logStore) error { return s.log.DeleteRange(101, 150) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, whole, _ := pagedLog(t, dir)
			store, told := openTestLog(t, dir)
			store.alarm.started.Store(true)
			for at := 2 * os.Getpagesize(); at < len(whole); at++ { // but for the meta pages
				whole[at] = 0xff
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			err := do(store)
			if err == nil || !strings.Contains(err.Error(), "bbolt") || !strings.Contains(err.Error(), startCure) || len(*told) != 1 || !unreadable((*told)[0]) {
				t.Errorf("%v, told %v", err, *told)
			}
		})
	}
}
