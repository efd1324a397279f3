package fsm

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"sync"

	"pipesync/storage"
)

// copyBufferBytes is the size of reads and writes of snapshot files.
const copyBufferBytes = 256 << 10

// fileSums are the checksums of a database's files that are written once, each
// taken when the file was first seen in a snapshot. They make a snapshot of a
// large state cost what is new in it. And a file is never summed again later,
// when it may have rotted: a checksum of rot would say that all is well.
type fileSums struct {
	mu    sync.Mutex
	known map[string]snapshotFile
}

// learn takes over what a snapshot's header says of a database with its files.
func (s *fileSums) learn(files []snapshotFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = make(map[string]snapshotFile, len(files))
	for _, f := range files {
		if storage.WrittenOnce(f.Name) {
			s.known[f.Name] = f
		}
	}
}

// list returns the files of dir, a checkpoint of the database, by name, and
// forgets all others.
func (s *fileSums) list(d disk, dir string) ([]snapshotFile, error) {
	files, err := s.sumAll(d, dir)
	if err != nil {
		return nil, err
	}
	s.learn(files)
	return files, nil
}

// sumAll is list, and learns nothing.
func (s *fileSums) sumAll(d disk, dir string) ([]snapshotFile, error) {
	names, err := d.List(dir)
	if err != nil {
		return nil, err
	}
	files := make([]snapshotFile, 0, len(names))
	buf := make([]byte, copyBufferBytes)
	for _, name := range names {
		if !plainFileName(name) {
			return nil, fmt.Errorf("checkpoint has %q, which is no file of a database", name)
		}
		file, err := s.sum(d, filepath.Join(dir, name), name, buf)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func (s *fileSums) sum(d disk, path, name string, buf []byte) (snapshotFile, error) {
	file := snapshotFile{Name: name}
	var err error
	if file.Size, err = d.Size(path); err != nil {
		return file, err
	}
	s.mu.Lock()
	known, seen := s.known[name]
	s.mu.Unlock()
	if seen && known.Size != file.Size {
		return file, fmt.Errorf("%w: %s has %d bytes and had %d", ErrCorrupt, name, file.Size, known.Size)
	}
	if seen {
		return known, nil
	}
	file.Size, file.Sum, err = copySummed(d, io.Discard, path, buf)
	return file, err
}

// copySummed copies a file to w, and tells its size and checksum.
func copySummed(d disk, w io.Writer, path string, buf []byte) (n int64, sum uint32, err error) {
	in, err := d.Open(path)
	if err != nil {
		return 0, 0, err
	}
	h := crc32.New(castagnoli)
	// The sum comes first, as w may spoil what it gets; and only Read is to be
	// seen of the file, so that buf is used.
	n, err = io.CopyBuffer(io.MultiWriter(h, w), struct{ io.Reader }{in}, buf)
	return n, h.Sum32(), errors.Join(err, in.Close())
}

func (f snapshotFile) check(size int64, sum uint32) error {
	switch {
	case size != f.Size:
		return fmt.Errorf("%w: file %s has %d bytes and had %d", ErrCorrupt, f.Name, size, f.Size)
	case sum != f.Sum:
		return fmt.Errorf("%w: file %s: checksum differs", ErrCorrupt, f.Name)
	}
	return nil
}

// cloneFiles makes in dir, which must not exist, a database of a snapshot's files
// in from, and returns when it is on disk. Files that are written once are hard
// links, the others copies: an open database replaces them. All are verified.
func cloneFiles(d disk, from, dir string, files []snapshotFile) error {
	if err := d.NewDir(dir); err != nil {
		return err
	}
	buf := make([]byte, copyBufferBytes)
	for _, file := range files {
		if err := cloneFile(d, filepath.Join(from, file.Name), filepath.Join(dir, file.Name), file, buf); err != nil {
			return err
		}
	}
	return errors.Join(d.SyncDir(dir), d.SyncDir(filepath.Dir(dir)))
}

func cloneFile(d disk, from, to string, want snapshotFile, buf []byte) error {
	if storage.WrittenOnce(want.Name) {
		size, sum, err := copySummed(d, io.Discard, from, buf)
		if err == nil {
			err = want.check(size, sum)
		}
		if err != nil {
			return err
		}
		return d.Link(from, to)
	}
	out, err := d.Create(to)
	if err != nil {
		return err
	}
	size, sum, err := copySummed(d, out, from, buf)
	if err == nil {
		err = want.check(size, sum)
	}
	return errors.Join(err, out.Sync(), out.Close())
}

// unpackFiles writes the files of a stream into dir, which must not exist,
// verifies them, and returns when they are on disk.
func unpackFiles(d disk, stream io.Reader, dir string) (*snapshotHeader, error) {
	in := bufio.NewReaderSize(stream, copyBufferBytes)
	header, err := readSnapshotHeader(in)
	if err != nil {
		return nil, err
	}
	if err := d.NewDir(dir); err != nil {
		return nil, err
	}
	for _, file := range header.Files {
		if err := unpackFile(d, in, filepath.Join(dir, file.Name), file); err != nil {
			return nil, err
		}
	}
	if err := ended(in); err != nil {
		return nil, err
	}
	return header, errors.Join(d.SyncDir(dir), d.SyncDir(filepath.Dir(dir)))
}

// ended makes sure that the stream does.
func ended(in io.ByteReader) error {
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(err, fmt.Errorf("%w: the stream goes on after its last file", ErrCorrupt))
	}
	return nil
}

func unpackFile(d disk, in io.Reader, to string, want snapshotFile) error {
	out, err := d.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(copyFromStream(out, in, want), out.Sync(), out.Close())
}

// copyFromStream copies the next file of a stream to w, and verifies it.
func copyFromStream(w io.Writer, in io.Reader, want snapshotFile) error {
	h := crc32.New(castagnoli)
	n, err := io.CopyN(io.MultiWriter(h, w), in, want.Size)
	if err != nil {
		return truncated("file "+want.Name, err)
	}
	return want.check(n, h.Sum32())
}
