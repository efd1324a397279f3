package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestNewFilesAreTheOwnersOfTheDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: giving files away needs root")
	}
	const owner = 4711
	dir := t.TempDir()
	old, made := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	inside := filepath.Join(made, "state", "CURRENT")
	for _, path := range []string{old, filepath.Dir(inside)} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(inside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(old, owner, owner); err != nil {
		t.Fatal(err)
	}
	if err := giveToOwnerOf(old, made); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{made, filepath.Dir(inside), inside} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != owner {
			t.Errorf("%s belongs to %d", path, got)
		}
	}
}
