package fsm

import (
	"errors"
	"fmt"
	"testing"

	"pipesync/internal/crashfs"
	"pipesync/storage"
)

const (
	crashParent = "/data"
	crashHome   = "/data/state"
)

// newCrashDisk has a directory that is synced, and nothing in it.
func newCrashDisk() (*crashfs.FS, error) {
	fs := crashfs.New()
	d := onDisk(fs)
	return fs, errors.Join(d.MkdirAll(crashParent), d.SyncDir("/"))
}

// onDisk is the way in which a state machine uses fs.
func onDisk(fs storage.FS) disk { return disk{fs, func(err error) { panic(err) }} }

// rigOnDisk is open until the test ends.
func rigOnDisk(t testing.TB, fs storage.FS) *rig {
	t.Helper()
	r := &rig{t: t, dir: crashHome, next: 10, wall: testWall, opts: func(o *Options) { o.FS = fs }}
	r.open()
	t.Cleanup(r.close)
	return r
}

// newCrashingRig is newRig on a disk that crashes.
func newCrashingRig(t testing.TB) *rig {
	t.Helper()
	fs, err := newCrashDisk()
	must(t, err)
	return rigOnDisk(t, fs)
}

// crash returns another rig, on what a machine that loses its power now would
// find on the disk. It goes on itself.
func (r *rig) crash() *rig {
	r.t.Helper()
	return rigOnDisk(r.t, r.fsm.opts.FS.(*crashfs.FS).Crash(0, nil))
}

// crashRig is a rig of the crash tests; it isn't open yet.
func crashRig(t testing.TB, seed uint64, fs storage.FS) *rig {
	return &rig{t: t, dir: crashHome, next: 10, wall: testWall, opts: func(o *Options) {
		o.FS, o.Bounds = fs, testBounds
		o.Fatal = func(err error) { panic(fmt.Sprintf("%s: %v", replayCrash(seed), err)) }
	}}
}

func replayCrash(seed uint64) string {
	return fmt.Sprintf("seed %d, to be run again by: go test ./fsm -run '^TestCrashes$' -crash.seed=%d -count=20", seed, seed)
}
