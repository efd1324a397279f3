package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"pipesync/internal/crashfs"
	"pipesync/storage"
)

// crashDisk is a disk on which everything can crash: databases and what the
// state machine keeps beside them.
type crashDisk struct{ fs *crashfs.FS }

func (d crashDisk) Storage() storage.FS                     { return d.fs }
func (d crashDisk) MkdirAll(dir string) error               { return d.fs.MkdirAll(dir, privateDir) }
func (d crashDisk) Open(path string) (io.ReadCloser, error) { return d.fs.Open(path) }
func (d crashDisk) Rename(from, to string) error            { return d.fs.Rename(from, to) }
func (d crashDisk) RemoveAll(path string) error             { return d.fs.RemoveAll(path) }

func (d crashDisk) Create(path string) (file, error) {
	f, err := d.fs.Create(path, "")
	return crashFile{f}, err
}

// crashFile's Write leaves its argument alone, as an io.Writer's must. That of
// Pebble's files spoils it, under the race detector on purpose.
type crashFile struct{ file }

func (f crashFile) Write(b []byte) (int, error) { return f.file.Write(bytes.Clone(b)) }

func (d crashDisk) SyncDir(dir string) error {
	f, err := d.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d crashDisk) ReadDir(dir string) ([]fs.DirEntry, error) {
	names, err := d.fs.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var entries []fs.DirEntry
	for _, name := range names {
		info, err := d.fs.Stat(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, nil
}

func (d crashDisk) NewDir(dir string) (newDir, error) {
	if _, err := d.fs.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, fs.ErrExist)
	}
	return crashDir{d, dir}, d.MkdirAll(dir)
}

type crashDir struct {
	disk crashDisk
	dir  string
}

func (d crashDir) Create(name string) (file, error) {
	return d.disk.Create(filepath.Join(d.dir, name))
}

func (d crashDir) Close() error { return nil }

const (
	crashParent = "/data"
	crashHome   = "/data/state"
)

// newCrashDisk has a directory that is synced, and nothing in it.
func newCrashDisk() (*crashfs.FS, error) {
	d := crashDisk{crashfs.New()}
	return d.fs, errors.Join(d.MkdirAll(crashParent), d.SyncDir("/"))
}

// rigOnDisk is open until the test ends.
func rigOnDisk(t testing.TB, d *crashfs.FS) *rig {
	t.Helper()
	r := &rig{t: t, dir: crashHome, next: 10, wall: testWall, opts: func(o *Options) { o.disk = crashDisk{d} }}
	r.open()
	t.Cleanup(r.close)
	return r
}

// newCrashingRig is newRig on a disk that crashes.
func newCrashingRig(t testing.TB) *rig {
	t.Helper()
	d, err := newCrashDisk()
	must(t, err)
	return rigOnDisk(t, d)
}

// crash returns another rig, on what a machine that loses its power now would
// find on the disk. It goes on itself.
func (r *rig) crash() *rig {
	r.t.Helper()
	return rigOnDisk(r.t, r.fsm.opts.disk.(crashDisk).fs.Crash(0, nil))
}

// crashRig is a rig of the crash tests; it isn't open yet.
func crashRig(t testing.TB, seed uint64, d disk) *rig {
	return &rig{t: t, dir: crashHome, next: 10, wall: testWall, opts: func(o *Options) {
		o.disk = d
		o.Fatal = func(err error) { panic(fmt.Sprintf("%s: %v", replayCrash(seed), err)) }
	}}
}

func replayCrash(seed uint64) string {
	return fmt.Sprintf("seed %d, to be run again by: go test ./fsm -run '^TestCrashes$' -crash.seed=%d -count=20", seed, seed)
}
