package storage

import (
	"errors"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// carefulFS is between Pebble and its file system, and more careful than Pebble.
type carefulFS struct{ vfs.FS }

const privateDirMode = 0o700

// MkdirAll makes directories that only their owner can enter, whatever the mode
// asked for: Pebble asks for 0755.
func (fs carefulFS) MkdirAll(dir string, _ os.FileMode) error {
	return fs.FS.MkdirAll(dir, privateDirMode)
}

// markerPrefix begins the names of the empty files by which Pebble says which
// manifest is the one in use.
const markerPrefix = "marker."

// Create syncs the directory before a marker is made in it. Pebble syncs it once
// behind that, after it has made both the manifest and its marker, and so relies
// on the order in which they get there: a crash that leaves the marker alone
// leaves a database that can't be opened. Journaling file systems keep that
// order, but POSIX promises none.
func (fs carefulFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(fs.PathBase(name), markerPrefix) {
		if err := fs.syncDir(fs.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return fs.FS.Create(name, c)
}

func (fs carefulFS) syncDir(dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Unwrap gives the file system underneath.
func (fs carefulFS) Unwrap() vfs.FS { return fs.FS }
