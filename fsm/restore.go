package fsm

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"pipesync/storage"
)

// Restore replaces the state by a snapshot. While it runs there are no new
// views, and waiters end with ErrNotReady; views that are open keep the old
// state. The new database is complete, verified and on disk before CURRENT
// moves to it: an error before that leaves the old state in use, one in the
// move itself calls Options.Fatal.
func (f *FSM) Restore(stream io.ReadCloser) error {
	err := f.restore(stream)
	closeErr := stream.Close()
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", errors.Join(err, closeErr))
	}
	if closeErr != nil { // every byte has arrived and been verified
		f.opts.Logger.Warn("closing a restored snapshot failed", "error", closeErr)
	}
	return nil
}

func (f *FSM) restore(stream io.Reader) error {
	if err := f.beginRestore(); err != nil {
		return err
	}
	next, system, err := f.unpackNext(stream)
	if err == nil {
		err = f.moveCurrent(next)
	}
	if err != nil {
		f.mu.Lock()
		f.restoring = false
		f.mu.Unlock()
		return err
	}
	if err := f.swap(next, system); err != nil {
		f.opts.Logger.Error("closing the database before the restore failed", "error", err)
	}
	return nil
}

func (f *FSM) beginRestore() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	f.restoring = true
	f.wake(everyWaiter, ErrNotReady)
	return nil
}

// unpackNext makes the database of the stream, opened, beside the current one.
// When it fails it leaves nothing behind.
func (f *FSM) unpackNext(stream io.Reader) (*handle, storage.System, error) {
	number, err := databaseNumber(filepath.Base(f.handle().dir))
	if err != nil {
		return nil, storage.System{}, err
	}
	dir := filepath.Join(f.opts.Dir, databaseName(number+1))
	h, system, err := f.unpack(stream, dir)
	if err != nil {
		return nil, storage.System{}, errors.Join(err, f.opts.disk.RemoveAll(dir))
	}
	return h, system, nil
}

func (f *FSM) unpack(stream io.Reader, dir string) (*handle, storage.System, error) {
	header, err := unpackFiles(f.opts.disk, stream, dir)
	if err != nil {
		return nil, storage.System{}, err
	}
	h, system, err := f.openHandle(dir)
	if err != nil {
		return nil, storage.System{}, err
	}
	if !header.matches(system) {
		err := fmt.Errorf("%w: the database is at entry %d of term %d, its header says %d of %d",
			ErrCorrupt, system.AppliedIndex, system.AppliedTerm, header.AppliedIndex, header.AppliedTerm)
		return nil, storage.System{}, errors.Join(err, h.db.Close())
	}
	return h, system, nil
}

// unpackFiles writes the files of the stream into dir, which must not exist,
// verifies their checksums, and returns when they are on disk.
func unpackFiles(d disk, stream io.Reader, dir string) (*snapshotHeader, error) {
	in := bufio.NewReaderSize(stream, copyBufferBytes)
	header, err := readSnapshotHeader(in)
	if err != nil {
		return nil, err
	}
	root, err := d.NewDir(dir)
	if err != nil {
		return nil, err
	}
	for _, file := range header.Files {
		if err := unpackFile(root, in, file); err != nil {
			return nil, errors.Join(fmt.Errorf("file %s: %w", file.Name, err), root.Close())
		}
	}
	if err := root.Close(); err != nil {
		return nil, err
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, fmt.Errorf("%w: the stream goes on after its last file", ErrCorrupt))
	}
	return header, errors.Join(d.SyncDir(dir), d.SyncDir(filepath.Dir(dir)))
}

func unpackFile(root newDir, in io.Reader, want snapshotFile) error {
	file, err := root.Create(want.Name)
	if err != nil {
		return err
	}
	sum := crc32.New(castagnoli)
	_, err = io.CopyN(io.MultiWriter(file, sum), in, want.Size)
	if err != nil {
		err = truncated("unpack", err)
	} else if sum.Sum32() != want.Sum {
		err = fmt.Errorf("%w: checksum differs", ErrCorrupt)
	}
	return errors.Join(err, file.Sync(), file.Close())
}

// moveCurrent makes next the database that the next Open finds.
func (f *FSM) moveCurrent(next *handle) error {
	moved, err := writeCurrent(f.opts.disk, f.opts.Dir, filepath.Base(next.dir))
	if err == nil {
		return nil
	}
	if moved {
		f.die(fmt.Errorf("restore snapshot: move %s: %w", currentName, err))
	}
	return errors.Join(err, next.db.Close(), f.opts.disk.RemoveAll(next.dir))
}

// swap puts next in the place of the current database, whose directory goes
// when its last view is closed. Its error is about the old database only.
func (f *FSM) swap(next *handle, system storage.System) error {
	f.system = system
	f.mu.Lock()
	old := f.current
	old.replaced = true
	f.current = next
	f.restoring = false
	f.setApplied(system)
	f.mu.Unlock()
	return f.release(old)
}
