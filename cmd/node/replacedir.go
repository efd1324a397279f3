package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"pipesync/internal/durable"
)

// replacement is how a stopped node's data directory gives way to another, which is
// made beside it and has the name only once it is whole.
type replacement struct {
	doing string // in errors
	// Behind the directory's name: of what was there, and of what isn't whole yet.
	kept, unfinished string
}

// replace has fill make the new directory, and returns where the old
// one is kept.
func (r replacement) replace(ctx context.Context, dataDir string, fill func(dir, unfinished string) error) (kept string, err error) {
	dir := filepath.Clean(dataDir)
	kept, unfinished := dir+r.kept, dir+r.unfinished
	_, missing := os.Stat(dir)
	_, err = os.Lstat(kept)
	switch {
	case missing != nil && err == nil:
		return "", &exitError{code: exitLocal, err: fmt.Errorf("%s: an earlier attempt was cut off at its last step: %w", r.doing, missing),
			hint: "mv " + unfinished + " " + dir}
	case missing != nil:
		return "", fmt.Errorf("%s: %w", r.doing, missing)
	case !errors.Is(err, fs.ErrNotExist):
		return "", &exitError{code: exitLocal, err: errors.Join(fmt.Errorf("%s: %s is there from an earlier time", r.doing, kept), err), hint: "move it away"}
	}
	lock, err := lockDir(ctx, dir, maxLockWait)
	if err != nil {
		return "", fmt.Errorf("%s: %w", r.doing, err)
	}
	if err = os.RemoveAll(unfinished); err == nil {
		err = fill(dir, unfinished)
	}
	if err == nil {
		err = giveToOwnerOf(dir, unfinished)
	}
	if err == nil {
		err = os.Rename(dir, kept)
	}
	if err == nil {
		err = os.Rename(unfinished, dir)
	}
	if err = errors.Join(err, lock.release()); err == nil {
		err = durable.SyncDir(filepath.Dir(dir))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", r.doing, err)
	}
	return kept, nil
}
