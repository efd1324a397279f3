package fsm

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
)

// copyBufferBytes is the size of reads and writes of snapshot files.
const copyBufferBytes = 256 << 10

// snapshot is a checkpoint of the database in a directory of its own, which
// shares files with the live one.
type snapshot struct {
	disk   disk
	dir    string
	header snapshotHeader // without files
}

// Snapshot flushes the database and links its files. Raft calls it on the
// goroutine of Apply; what takes long is left to Persist.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	f.checkpoints++
	dir := filepath.Join(f.opts.Dir, checkpointPrefix+strconv.Itoa(f.checkpoints))
	h := f.handle()
	// Without a log of its own the database keeps in a checkpoint only what is
	// flushed. Raft cuts its log behind a snapshot: after this flush, what it cuts
	// is on disk in the live database too, whatever a crash takes from memory.
	f.flushing.Lock()
	var err error
	if !planted.Is(planted.CutUnflushed) {
		err = h.flush()
	}
	f.flushing.Unlock()
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	if err := h.db.Checkpoint(dir); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return &snapshot{disk: f.opts.disk, dir: dir, header: newSnapshotHeader(f.system)}, nil
}

// Persist writes the snapshot's stream to sink and closes it, or cancels it.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.write(sink); err != nil {
		return errors.Join(fmt.Errorf("persist snapshot: %w", err), sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return fmt.Errorf("persist snapshot: %w", err)
	}
	return nil
}

// Release removes the checkpoint. What can't be removed goes at the next Open.
func (s *snapshot) Release() { _ = s.disk.RemoveAll(s.dir) }

func (s *snapshot) write(w io.Writer) error {
	h := s.header
	buf := make([]byte, copyBufferBytes)
	var err error
	if h.Files, err = listFiles(s.disk, s.dir, buf); err != nil {
		return err
	}
	encoded, err := h.encode()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, copyBufferBytes)
	if _, err := out.Write(encoded); err != nil {
		return err
	}
	for _, file := range h.Files {
		if err := copyFile(s.disk, out, filepath.Join(s.dir, file.Name), file, buf); err != nil {
			return err
		}
	}
	return out.Flush()
}

// listFiles returns the files of dir by name, with their checksums.
func listFiles(d disk, dir string, buf []byte) ([]snapshotFile, error) {
	entries, err := d.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := make([]snapshotFile, 0, len(entries))
	for _, e := range entries {
		if !e.Type().IsRegular() || !plainFileName(e.Name()) {
			return nil, fmt.Errorf("checkpoint has %q, which is no file of a database", e.Name())
		}
		file := snapshotFile{Name: e.Name()}
		sum := crc32.New(castagnoli)
		if file.Size, err = readInto(d, sum, filepath.Join(dir, e.Name()), buf); err != nil {
			return nil, err
		}
		file.Sum = sum.Sum32()
		files = append(files, file)
	}
	return files, nil
}

func copyFile(d disk, w io.Writer, path string, want snapshotFile, buf []byte) error {
	n, err := readInto(d, w, path, buf)
	if err == nil && n != want.Size {
		err = fmt.Errorf("%s has %d bytes and had %d", want.Name, n, want.Size)
	}
	return err
}

func readInto(d disk, w io.Writer, path string, buf []byte) (int64, error) {
	file, err := d.Open(path)
	if err != nil {
		return 0, err
	}
	// Only Write and Read, so that buf is used.
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{file}, buf)
	return n, errors.Join(err, file.Close())
}
