package fsm

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"pipesync/storage"
)

// disk is the file system that holds a state machine's directory: the operating
// system's, or in tests one in memory that crashes. Errors for what isn't there
// match fs.ErrNotExist. Nothing but Sync and SyncDir makes anything durable.
type disk interface {
	// Storage is where databases are; nil means on the operating system's.
	Storage() storage.FS
	MkdirAll(dir string) error
	// NewDir makes a directory, which must not exist.
	NewDir(dir string) (newDir, error)
	ReadDir(dir string) ([]fs.DirEntry, error)
	SyncDir(dir string) error
	// Create makes an empty file, or empties it.
	Create(path string) (file, error)
	Open(path string) (io.ReadCloser, error)
	Rename(from, to string) error
	RemoveAll(path string) error
}

// newDir is a directory that is being filled.
type newDir interface {
	// Create makes a file in the directory, and nowhere else. It must not exist.
	Create(name string) (file, error)
	Close() error
}

// file is one that is being written.
type file interface {
	io.WriteCloser
	Sync() error
}

const (
	privateDir  = 0o700
	privateFile = 0o600
)

// osDisk is the operating system's.
type osDisk struct{}

func (osDisk) Storage() storage.FS                       { return nil }
func (osDisk) MkdirAll(dir string) error                 { return os.MkdirAll(dir, privateDir) }
func (osDisk) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }
func (osDisk) Open(path string) (io.ReadCloser, error)   { return os.Open(path) }
func (osDisk) Rename(from, to string) error              { return os.Rename(from, to) }
func (osDisk) RemoveAll(path string) error               { return os.RemoveAll(path) }

func (osDisk) NewDir(dir string) (newDir, error) {
	if err := os.Mkdir(dir, privateDir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return osRoot{root}, nil
}

func (osDisk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osDisk) Create(path string) (file, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, privateFile)
}

type osRoot struct{ root *os.Root }

func (r osRoot) Create(name string) (file, error) {
	return r.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, privateFile)
}

func (r osRoot) Close() error { return r.root.Close() }
