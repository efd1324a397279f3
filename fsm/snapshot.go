package fsm

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
)

// snapshot is a checkpoint of the database in a directory of its own, which
// shares files with the live one.
type snapshot struct {
	disk     disk
	dir      string
	database string
	sums     *fileSums      // of that database
	header   snapshotHeader // without files
}

// Snapshots is where raft keeps what Snapshot makes and what other nodes send.
func (f *FSM) Snapshots() raft.SnapshotStore { return f.snapshots }

// Snapshot flushes the database and links its files. Raft calls it on the
// goroutine of Apply; what takes long is left to Persist.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	h := f.handle()
	dir, header, err := f.checkpoint(h)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return &snapshot{disk: f.disk, dir: dir, database: filepath.Base(h.dir), sums: &h.sums, header: header}, nil
}

// checkpoint links the files of h, the current database, in a directory of their
// own. The header is without them.
func (f *FSM) checkpoint(h *handle) (dir string, header snapshotHeader, err error) {
	f.applying.Lock()
	defer f.applying.Unlock()
	if f.handle() != h {
		return "", header, ErrNotReady // a restore has replaced it
	}
	f.checkpoints++
	dir = filepath.Join(f.opts.Dir, checkpointPrefix+strconv.Itoa(f.checkpoints))
	// Without a log of its own the database keeps in a checkpoint only what is
	// flushed. Raft cuts its log behind a snapshot: after this flush, what it cuts
	// is on disk in the live database too, whatever a crash takes from memory.
	f.flushing.Lock()
	if !planted.Is(planted.CutUnflushed) {
		err = h.flush()
	}
	f.flushing.Unlock()
	if err == nil {
		err = h.db.Checkpoint(dir)
	}
	return dir, newSnapshotHeader(f.system), err
}

// Persist moves the snapshot into sink, which must be of Snapshots().
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.persist(sink); err != nil {
		return errors.Join(fmt.Errorf("persist snapshot: %w", err), sink.Cancel())
	}
	return nil
}

func (s *snapshot) persist(sink raft.SnapshotSink) error {
	own, ok := sink.(*snapshotSink)
	if !ok {
		return fmt.Errorf("the sink is a %T, of another store", sink)
	}
	header := s.header
	var err error
	if header.Files, err = s.sums.list(s.disk, s.dir); err != nil {
		return err
	}
	return own.adopt(s.dir, s.database, header)
}

// Release removes a checkpoint that was not persisted. What can't be removed goes
// at the next Open.
func (s *snapshot) Release() { _ = s.disk.RemoveAll(s.dir) }
