package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/raft"
)

// snapshotStore is raft's store of snapshots, in the directory of the state
// machine, so that a snapshot can share its files with a database:
//
//	snapshots/0000000007/META      written last
//	snapshots/0000000007/files/    a checkpoint of a database
//	snapshots/0000000008.tmp/      one that is being written, or removed
//
// A name without .tmp is given by a rename, once all that is below it is on disk.
// All methods may be called by any number of goroutines.
type snapshotStore struct {
	disk   disk
	dir    string
	logger *slog.Logger

	mu   sync.Mutex
	last uint64          // number given out last
	kept []*keptSnapshot // as raft lists them
}

// keptSnapshot is complete. All but pins and gone stay as they are.
type keptSnapshot struct {
	id   string
	dir  string
	meta *snapshotMeta
	raft *raft.SnapshotMeta

	pins int  // readers; guarded by snapshotStore.mu
	gone bool // to be removed with the last of them; likewise
}

const (
	snapshotsName  = "snapshots"
	metaName       = "META"
	filesName      = "files"
	unfinishedMark = ".tmp"

	// snapshotsKept are left by a new one. What the older of them has that the
	// database has no more is on the disk for it alone.
	snapshotsKept = 2

	raftSnapshotVersion = 1
)

func (k *keptSnapshot) files() string { return filepath.Join(k.dir, filesName) }

// openSnapshots opens the store in dir, and removes what was left unfinished.
func openSnapshots(d disk, dir string, logger *slog.Logger) (*snapshotStore, error) {
	s := &snapshotStore{disk: d, dir: dir, logger: logger}
	if err := errors.Join(d.MkdirAll(dir), d.SyncDir(filepath.Dir(dir))); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	names, err := d.List(dir)
	if err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	for _, name := range names {
		if err := s.openOne(name); err != nil {
			return nil, fmt.Errorf("open snapshot %s: %w", filepath.Join(dir, name), err)
		}
	}
	s.reap(nil)
	return s, nil
}

func (s *snapshotStore) openOne(name string) error {
	path := filepath.Join(s.dir, name)
	if strings.HasSuffix(name, unfinishedMark) {
		return s.disk.RemoveAll(path)
	}
	number, err := strconv.ParseUint(name, 10, 64)
	if err != nil || snapshotName(number) != name {
		return errors.New("it is no snapshot that this program has made")
	}
	b, err := s.disk.ReadSmall(filepath.Join(path, metaName), metaMaxBytes)
	if err != nil {
		return err
	}
	meta, err := decodeSnapshotMeta(b)
	if err != nil {
		return fmt.Errorf("read %s: %w", metaName, err)
	}
	of, err := meta.raftMeta(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", metaName, err)
	}
	s.last = max(s.last, number)
	s.add(meta, of)
	return nil
}

func snapshotName(number uint64) string { return fmt.Sprintf("%010d", number) }

func (s *snapshotStore) add(meta *snapshotMeta, of *raft.SnapshotMeta) *keptSnapshot {
	k := &keptSnapshot{id: of.ID, dir: filepath.Join(s.dir, of.ID), meta: meta, raft: of}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, k)
	slices.SortFunc(s.kept, func(a, b *keptSnapshot) int { // the newest first
		return cmp.Or(cmp.Compare(b.meta.Term, a.meta.Term), cmp.Compare(b.meta.Index, a.meta.Index), cmp.Compare(b.id, a.id))
	})
	return k
}

// Create implements raft.SnapshotStore. The sink is to be filled either by
// writing a stream to it or by Persist of a snapshot of this state machine.
func (s *snapshotStore) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport,
) (raft.SnapshotSink, error) {
	if version != raftSnapshotVersion {
		return nil, fmt.Errorf("create snapshot: version %d is not supported", version)
	}
	s.mu.Lock()
	s.last++
	id := snapshotName(s.last)
	s.mu.Unlock()
	return &snapshotSink{store: s, id: id, meta: snapshotMeta{
		Index: index, Term: term, ConfigurationIndex: configurationIndex, Configuration: configuration.Clone(),
	}}, nil
}

// List implements raft.SnapshotStore: the newest comes first.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*raft.SnapshotMeta, len(s.kept))
	for i, k := range s.kept {
		meta := *k.raft
		list[i] = &meta
	}
	return list, nil
}

// Open implements raft.SnapshotStore. The snapshot stays until the stream is
// closed, however many newer ones there are by then.
func (s *snapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kept {
		if k.id != id {
			continue
		}
		r, err := newSnapshotReader(s, k)
		if err != nil {
			return nil, nil, fmt.Errorf("open snapshot %s: %w", k.dir, err)
		}
		k.pins++
		meta := *k.raft
		return &meta, r, nil
	}
	return nil, nil, fmt.Errorf("open snapshot %s: %w", id, fs.ErrNotExist)
}

func (s *snapshotStore) unpin(k *keptSnapshot) {
	s.mu.Lock()
	k.pins--
	last := k.gone && k.pins == 0
	s.mu.Unlock()
	if last {
		s.remove(k)
	}
}

// newest is nil where there is none.
func (s *snapshotStore) newest() *keptSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == 0 {
		return nil
	}
	return s.kept[0]
}

// reap takes all but the newest off the list, except made, which raft opens next,
// and removes them as soon as nobody reads them.
func (s *snapshotStore) reap(made *keptSnapshot) {
	s.mu.Lock()
	var victims []*keptSnapshot
	keep := s.kept[:0:0]
	for i, k := range s.kept {
		if i < snapshotsKept || k == made {
			keep = append(keep, k)
			continue
		}
		k.gone = true
		if k.pins == 0 {
			victims = append(victims, k)
		}
	}
	s.kept = keep
	s.mu.Unlock()
	for _, k := range victims {
		s.remove(k)
	}
}

// remove first takes the name away, on disk as well: what is half removed isn't
// taken for a snapshot. What stays goes at the next opening.
func (s *snapshotStore) remove(k *keptSnapshot) {
	err := s.disk.Rename(k.dir, k.dir+unfinishedMark)
	if err == nil {
		err = s.disk.SyncDir(s.dir)
	}
	if err == nil {
		err = s.disk.RemoveAll(k.dir + unfinishedMark)
	}
	if err != nil {
		s.logger.Warn("removing an old snapshot", "error", err)
	}
}
