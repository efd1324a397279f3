package fsm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"

	"pipesync/storage"
)

// disk is the file system that holds a state machine's directory, databases
// included: the operating system's, or in tests one in memory that crashes.
// Errors for what isn't there match fs.ErrNotExist. Nothing but Sync and SyncDir
// makes anything durable.
type disk struct {
	fs storage.FS
	// fatal ends the process. It is told of a sync that failed: after that the next
	// one may succeed with the data gone, so that nothing the disk says can be relied
	// on. A full disk is no fault, and what was being written is thrown away.
	fatal func(error)
}

const privateDir = 0o700 // others see nothing of what is below it

func (d disk) MkdirAll(dir string) error { return d.fs.MkdirAll(dir, privateDir) }

// NewDir makes a directory, which must not exist.
func (d disk) NewDir(dir string) error {
	if _, err := d.fs.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make directory %s: %w", dir, errors.Join(err, fs.ErrExist))
	}
	return d.MkdirAll(dir)
}

// List gives the names in a directory, in ascending order.
func (d disk) List(dir string) ([]string, error) {
	names, err := d.fs.List(dir)
	slices.Sort(names)
	return names, err
}

// Size is that of a file; a directory is an error.
func (d disk) Size(path string) (int64, error) {
	info, err := d.fs.Stat(path)
	if err != nil {
		return 0, err
	}
	if info.IsDir() {
		return 0, fmt.Errorf("%s is a directory", path)
	}
	return info.Size(), nil
}

func (d disk) SyncDir(dir string) error {
	f, err := d.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.synced(dir, f.Sync()), f.Close())
}

// Create makes an empty file. One that is there is replaced, not emptied.
func (d disk) Create(path string) (*newFile, error) {
	f, err := d.fs.Create(path, "")
	if err != nil {
		return nil, err
	}
	return &newFile{WriteCloser: f, sync: func() error { return d.synced(path, f.Sync()) }}, nil
}

func (d disk) synced(path string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("sync %s: %w", path, err)
	if !errors.Is(err, syscall.ENOSPC) {
		d.fatal(err)
	}
	return err
}

func (d disk) Open(path string) (io.ReadCloser, error) { return d.fs.Open(path) }
func (d disk) Link(from, to string) error              { return d.fs.Link(from, to) }
func (d disk) Rename(from, to string) error            { return d.fs.Rename(from, to) }
func (d disk) RemoveAll(path string) error             { return d.fs.RemoveAll(path) }

// WriteSynced makes a file of b, and returns when its bytes are on disk; its
// name isn't before SyncDir.
func (d disk) WriteSynced(path string, b []byte) error {
	f, err := d.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Clone(b))
	return errors.Join(err, f.Sync(), f.Close())
}

// ReadSmall reads a file of at most limitBytes.
func (d disk) ReadSmall(path string, limitBytes int64) ([]byte, error) {
	f, err := d.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limitBytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(b)) > limitBytes {
		return nil, fmt.Errorf("read %s: %w: more than %d bytes", filepath.Base(path), ErrCorrupt, limitBytes)
	}
	return b, nil
}

// newFile is one that is being written. Write may spoil its argument, as those
// of Pebble's files do.
type newFile struct {
	io.WriteCloser
	sync func() error
}

func (f *newFile) Sync() error { return f.sync() }
