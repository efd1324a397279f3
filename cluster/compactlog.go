package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"pipesync/internal/durable"
)

const (
	// A file of at least compactFileBytes of which more than half is free is
	// written anew at a start: bbolt uses free pages again, but never gives them
	// back to the disk.
	compactFileBytes = 64 << 20
	compactTxBytes   = 16 << 20 // written at once meanwhile, and in memory

	compactedName = logFileName + ".compacted"
)

// compactLog writes the log file in dir anew if most of it is free. The file has the
// name only once it is whole and on disk; where that fails, the old one stays.
func compactLog(dir string, fileBytes int64, logger *slog.Logger) error {
	compacted := filepath.Join(dir, compactedName)
	if err := removeCompacted(compacted); err != nil {
		return err
	}
	path := filepath.Join(dir, logFileName)
	before, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && before.Size() < fileBytes {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	free, err := checkPages(path)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	if free <= before.Size()/2 {
		return nil
	}
	if err := copyLog(path, compacted); err != nil {
		// A full disk, most likely: the log can be used as it is.
		logger.Warn("raft.db could not be compacted", "bytes", before.Size(), "free_bytes", free, "error", err)
		return removeCompacted(compacted)
	}
	after, err := os.Stat(compacted)
	if err == nil {
		err = os.Rename(compacted, path)
	}
	if err == nil {
		err = durable.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("putting the compacted log in its place: %w", err)
	}
	logger.Info("raft.db was compacted", "bytes", after.Size(), "before_bytes", before.Size())
	return nil
}

// removeCompacted removes what there is of a compaction that wasn't ended.
func removeCompacted(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what was left of a compaction of the log: %w", err)
	}
	return nil
}

func copyLog(from, to string) error { return mapped(func() error { return copyMapped(from, to) }) }

// copyMapped closes both files also where a page can't be read.
func copyMapped(from, to string) (err error) {
	reading := BoltTuning()
	reading.ReadOnly = true
	src, err := bbolt.Open(from, 0o600, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	writing := BoltTuning()
	writing.NoSync = true // until all is there
	dst, err := bbolt.Open(to, 0o600, writing)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if err := bbolt.Compact(dst, src, compactTxBytes); err != nil {
		return err
	}
	return dst.Sync()
}
