package fsm

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// snapshotSink is a snapshot that is being made. It is for one goroutine. After
// Close, Cancel or adopt nothing happens any more.
type snapshotSink struct {
	store *snapshotStore
	id    string
	meta  snapshotMeta
	done  bool

	// Of one that is received; nil before the first byte.
	in       *io.PipeWriter
	unpacked chan unpacked
}

type unpacked struct {
	header *snapshotHeader
	err    error
}

var errCancelled = errors.New("cancelled")

// ID implements raft.SnapshotSink.
func (s *snapshotSink) ID() string { return s.id }

func (s *snapshotSink) dir() string { return filepath.Join(s.store.dir, s.id+unfinishedMark) }

// Write takes the next bytes of a stream. They are unpacked and verified at once:
// what is wrong with them is the error of this call or a later one, or of Close.
func (s *snapshotSink) Write(b []byte) (int, error) {
	if s.done {
		return 0, errors.New("receive snapshot: it was ended")
	}
	if s.in == nil {
		if err := s.store.disk.NewDir(s.dir()); err != nil {
			return 0, fmt.Errorf("receive snapshot: %w", err)
		}
		out, in := io.Pipe()
		s.in, s.unpacked = in, make(chan unpacked, 1)
		go func() {
			header, err := unpackFiles(s.store.disk, out, filepath.Join(s.dir(), filesName))
			_ = out.CloseWithError(err)
			s.unpacked <- unpacked{header, err}
		}()
	}
	n, err := s.in.Write(b)
	if err != nil {
		return n, fmt.Errorf("receive snapshot: %w", err)
	}
	return n, nil
}

// Close ends a stream. When it returns nil the snapshot is complete and on disk.
func (s *snapshotSink) Close() error {
	if s.done {
		return nil
	}
	if s.in == nil {
		s.done = true
		return fmt.Errorf("receive snapshot: %w: there was no stream", ErrCorrupt)
	}
	header, err := s.endStream(io.EOF)
	if err == nil {
		s.meta.Header = *header
		err = s.finish()
	}
	if err != nil {
		return fmt.Errorf("receive snapshot: %w", errors.Join(err, s.discard()))
	}
	return nil
}

// Cancel implements raft.SnapshotSink.
func (s *snapshotSink) Cancel() error {
	if s.done {
		return nil
	}
	if s.in != nil {
		_, _ = s.endStream(errCancelled)
	}
	if err := s.discard(); err != nil {
		return fmt.Errorf("cancel snapshot: %w", err)
	}
	return nil
}

func (s *snapshotSink) endStream(with error) (*snapshotHeader, error) {
	_ = s.in.CloseWithError(with)
	got := <-s.unpacked
	s.done = true
	return got.header, got.err
}

func (s *snapshotSink) discard() error {
	s.done = true
	return s.store.disk.RemoveAll(s.dir())
}

// adopt makes a checkpoint of a database the snapshot, and ends the sink. The
// directory is moved; no byte is copied.
func (s *snapshotSink) adopt(checkpoint, database string, header snapshotHeader) error {
	s.meta.Header, s.meta.Database = header, database
	err := s.store.disk.NewDir(s.dir())
	if err == nil {
		err = s.store.disk.Rename(checkpoint, filepath.Join(s.dir(), filesName))
	}
	if err == nil {
		err = s.finish()
	}
	if err != nil {
		return errors.Join(err, s.discard())
	}
	return nil
}

// finish gives the snapshot its name, once the rest of it is on disk.
func (s *snapshotSink) finish() error {
	s.done = true
	d := s.store.disk
	if applied := s.meta.Header.AppliedIndex; applied > s.meta.Index {
		return fmt.Errorf("%w: it holds entry %d, and should end with entry %d", ErrCorrupt, applied, s.meta.Index)
	}
	of, err := s.meta.raftMeta(s.id)
	if err != nil {
		return err
	}
	b, err := s.meta.encode()
	if err != nil {
		return err
	}
	if err := d.WriteSynced(filepath.Join(s.dir(), metaName), b); err != nil {
		return err
	}
	if err := d.SyncDir(s.dir()); err != nil {
		return err
	}
	if err := d.Rename(s.dir(), filepath.Join(s.store.dir, s.id)); err != nil {
		return err
	}
	if err := d.SyncDir(s.store.dir); err != nil {
		return err
	}
	s.store.reap(s.store.add(&s.meta, of))
	return nil
}

var _ raft.SnapshotSink = (*snapshotSink)(nil)
