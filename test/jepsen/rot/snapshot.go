package rot

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Where META has the index and the term of a snapshot (docs/FORMAT.md).
const (
	metaIndexAt = 6
	metaTermAt  = 14
	metaFieldTo = 22
)

// snapshot is one in a node's directory. The zero value is none.
type snapshot struct {
	dir         string
	index, term uint64
}

// newestSnapshot is the one that the node would begin with.
func newestSnapshot(dir string) (newest snapshot, err error) {
	snapshots := filepath.Join(dir, "state", "snapshots")
	entries, err := os.ReadDir(snapshots)
	if errors.Is(err, fs.ErrNotExist) {
		return newest, nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		at := filepath.Join(snapshots, e.Name())
		meta, err := os.ReadFile(filepath.Join(at, "META"))
		if err != nil {
			return newest, err
		}
		if len(meta) < metaFieldTo {
			return newest, fmt.Errorf("%s has a META of %d bytes", at, len(meta))
		}
		s := snapshot{at, binary.BigEndian.Uint64(meta[metaIndexAt:]), binary.BigEndian.Uint64(meta[metaTermAt:])}
		if cmp.Or(cmp.Compare(s.term, newest.term), cmp.Compare(s.index, newest.index)) > 0 {
			newest = s
		}
	}
	return newest, err
}

// Snapshotted is the entry at which the newest snapshot in dir, a node's directory, ends: the
// node doesn't need the log up to it.
func Snapshotted(dir string) (uint64, error) {
	newest, err := newestSnapshot(dir)
	return newest.index, err
}

// SnapshotMeta is what the newest snapshot in dir, a node's directory, says of itself: the
// node reads it when it starts.
func SnapshotMeta(dir string, _ *rand.Rand) (Place, error) {
	newest, err := newestSnapshot(dir)
	if err != nil || newest.dir == "" {
		return Place{}, errors.Join(err, ErrNothing)
	}
	path := filepath.Join(newest.dir, "META")
	info, err := os.Stat(path)
	if err != nil {
		return Place{}, err
	}
	return Place{File: path, Length: info.Size(), What: "META of snapshot " + filepath.Base(newest.dir), Told: newest.dir}, nil
}

// SnapshotTail is the second half of that.
func SnapshotTail(dir string, rng *rand.Rand) (Place, error) {
	p, err := SnapshotMeta(dir, rng)
	p.Offset = p.Length / 2
	p.Length -= p.Offset
	return p, err
}

// SnapshotFile is any file of the newest snapshot that nothing else shares: it is read when
// the snapshot is sent, or restored.
func SnapshotFile(dir string, rng *rand.Rand) (Place, error) {
	newest, err := newestSnapshot(dir)
	if err != nil || newest.dir == "" {
		return Place{}, errors.Join(err, ErrNothing)
	}
	files, err := os.ReadDir(filepath.Join(newest.dir, "files"))
	if err != nil {
		return Place{}, err
	}
	var own []Place
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return Place{}, err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink == 1 && info.Size() > 0 {
			own = append(own, Place{File: filepath.Join(newest.dir, "files", f.Name()), Length: info.Size(),
				What: f.Name() + " of snapshot " + filepath.Base(newest.dir), Told: "file " + f.Name() + ": checksum differs"})
		}
	}
	if len(own) == 0 {
		return Place{}, ErrNothing
	}
	return own[rng.IntN(len(own))], nil
}

// IsNewest says that a file is of the newest snapshot in dir, a node's directory.
func IsNewest(dir, file string) (bool, error) {
	newest, err := newestSnapshot(dir)
	return newest.dir != "" && strings.HasPrefix(file, newest.dir+string(filepath.Separator)), err
}
