package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A real disk, where it may be mounted.
func TestSpaceOfARealDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("no tmpfs can be mounted, so that no real disk is filled: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	m := newMember(t, "solo", func(c *Config) { c.DataDir, c.MinFreeBytes = dir, 4*mib })
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.mustPropose("before")
	ballast := filepath.Join(dir, "of another program")
	for i := 0; !m.Status().Disk.Full; i++ {
		file := fmt.Sprint(ballast, i)
		if err := os.WriteFile(file, make([]byte, mib), 0o600); err != nil {
			t.Fatal(err)
		}
		m.lookAtSpace()
	}
	if _, err := m.Propose(m.ctx(), []byte("refused")); !errors.Is(err, ErrDiskFull) {
		t.Errorf("%v", err)
	}
	files, err := filepath.Glob(ballast + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "writes to go on", func() bool {
		_, err := m.Propose(m.ctx(), []byte("after"))
		return err == nil
	})
}
