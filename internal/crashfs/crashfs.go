// Package crashfs is a disk in memory for tests that crash: at any of its
// writes, what a machine that lost its power then would find on it can be had.
package crashfs

import (
	"math/rand/v2"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the disk. Its users go on undisturbed by a crash, which is a copy; it is
// for the test to stop using what it has crashed.
type FS struct {
	vfs.FS
	mem *vfs.MemFS

	mu    sync.Mutex
	left  int // writes until the armed crash
	armed func() *FS
	taken *FS
	see   func(op, name string)
}

// What a function given to Watch sees.
const (
	Opened  = "open" // for reading
	Created = "create"
)

// Watch has see called before each file is opened or made, on the goroutine that
// does so.
func (f *FS) Watch(see func(op, name string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.see = see
}

func (f *FS) seen(op, name string) {
	f.mu.Lock()
	see := f.see
	f.mu.Unlock()
	if see != nil {
		see(op, name)
	}
}

// New is an empty disk.
func New() *FS { return on(vfs.NewCrashableMem()) }

func on(mem *vfs.MemFS) *FS { return &FS{FS: mem, mem: mem} }

// Crash is the disk after a crash now. It has all that was synced, and each
// unsynced block and directory entry with the probability percent. With 0 and
// 100 it depends on nothing but what was written.
func (f *FS) Crash(percent int, rng *rand.Rand) *FS {
	return on(f.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}))
}

// Arm has the disk crash before the write, sync or change of a directory that
// comes after `after` others. What observe does happens at the same moment; it
// must not use the disk, and may be called on any goroutine that does.
func (f *FS) Arm(after, percent int, rng *rand.Rand, observe func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.taken = after, nil
	f.armed = func() *FS {
		observe()
		return f.Crash(percent, rng)
	}
}

// Disarm returns the disk after the crash that was armed, or nil where it didn't
// come to it.
func (f *FS) Disarm() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.taken
	f.armed, f.taken = nil, nil
	return taken
}

// Crashed tells whether the crash that was armed has come.
func (f *FS) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.taken != nil
}

// write is called before everything that changes the disk.
func (f *FS) write() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.armed == nil {
		return
	}
	if f.left > 0 {
		f.left--
		return
	}
	f.taken, f.armed = f.armed(), nil
}

func (f *FS) file(opened vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{File: opened, fs: f}, nil
}

func (f *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f.seen(Opened, name)
	return f.FS.Open(name, opts...)
}

func (f *FS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.seen(Created, name)
	f.write()
	return f.file(f.FS.Create(name, c))
}

func (f *FS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f.write()
	return f.file(f.FS.OpenReadWrite(name, c, opts...))
}

func (f *FS) OpenDir(name string) (vfs.File, error) { return f.file(f.FS.OpenDir(name)) }

func (f *FS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.write()
	return f.file(f.FS.ReuseForWrite(from, to, c))
}

func (f *FS) Link(from, to string) error {
	f.write()
	return f.FS.Link(from, to)
}

func (f *FS) Remove(name string) error {
	f.write()
	return f.FS.Remove(name)
}

func (f *FS) RemoveAll(name string) error {
	f.write()
	return f.FS.RemoveAll(name)
}

func (f *FS) Rename(from, to string) error {
	f.write()
	return f.FS.Rename(from, to)
}

func (f *FS) MkdirAll(dir string, mode os.FileMode) error {
	f.write()
	return f.FS.MkdirAll(dir, mode)
}

// Unwrap gives the file system underneath.
func (f *FS) Unwrap() vfs.FS { return f.FS }

type file struct {
	vfs.File
	fs *FS
}

func (f *file) Write(b []byte) (int, error) {
	f.fs.write()
	return f.File.Write(b)
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	f.fs.write()
	return f.File.WriteAt(b, at)
}

func (f *file) Sync() error {
	f.fs.write()
	return f.File.Sync()
}

func (f *file) SyncData() error {
	f.fs.write()
	return f.File.SyncData()
}

func (f *file) SyncTo(length int64) (bool, error) {
	f.fs.write()
	return f.File.SyncTo(length)
}
