package storage

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markerFS looks at each marker of a manifest before it is made.
type markerFS struct {
	vfs.FS
	mem     *vfs.MemFS
	t       *testing.T
	markers int
}

func (fs *markerFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if marker, ok := strings.CutPrefix(fs.PathBase(name), "marker.manifest."); ok {
		fs.markers++
		_, manifest, _ := strings.Cut(marker, ".")
		crashed := fs.mem.CrashClone(vfs.CrashCloneCfg{})
		if _, err := crashed.Stat(fs.PathJoin(fs.PathDir(name), manifest)); err != nil {
			fs.t.Errorf("a crash now could leave marker %s without its manifest: %v", marker, err)
		}
	}
	return fs.FS.Create(name, c)
}

// TestNoMarkerWithoutItsManifest: whatever a crash leaves, a marker names a
// manifest that is there.
func TestNoMarkerWithoutItsManifest(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := &markerFS{FS: mem, mem: mem, t: t}
	for range 3 {
		check(t, openTest(t, dbDir, Options{FS: fs}).Close())
	}
	if fs.markers == 0 {
		t.Error("no marker was made: the test shows nothing")
	}
}
