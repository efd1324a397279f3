package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"path/filepath"
	"sync"

	"pipesync/storage"
)

// snapshotReader is the stream of a snapshot in the store, which stays there
// until it is closed. It is for one goroutine.
type snapshotReader struct {
	store *snapshotStore
	of    *keptSnapshot

	header  *bytes.Reader
	next    int           // file to be opened next
	file    io.ReadCloser // nil: none is open
	size    int64         // read of it
	sum     hash.Hash32
	release sync.Once
}

func newSnapshotReader(s *snapshotStore, of *keptSnapshot) (*snapshotReader, error) {
	header, err := of.meta.Header.encode()
	if err != nil {
		return nil, err
	}
	return &snapshotReader{store: s, of: of, header: bytes.NewReader(header)}, nil
}

// Read verifies each file at its end, so that no whole stream has rotted bytes.
func (r *snapshotReader) Read(b []byte) (int, error) {
	for {
		n, err := r.read(b)
		if n > 0 || len(b) == 0 || err != nil {
			return n, err
		}
	}
}

func (r *snapshotReader) read(b []byte) (int, error) {
	if r.header.Len() > 0 {
		return r.header.Read(b)
	}
	if r.file == nil {
		return 0, r.openNext()
	}
	n, err := r.file.Read(b)
	r.size += int64(n)
	_, _ = r.sum.Write(b[:n])
	if errors.Is(err, io.EOF) {
		return n, r.endFile()
	}
	return n, err
}

func (r *snapshotReader) openNext() (err error) {
	files := r.of.meta.Header.Files
	if r.next == len(files) {
		return io.EOF
	}
	r.file, err = r.store.disk.Open(filepath.Join(r.of.files(), files[r.next].Name))
	r.size, r.sum = 0, crc32.New(castagnoli)
	return err
}

func (r *snapshotReader) endFile() error {
	want := r.of.meta.Header.Files[r.next]
	err := r.file.Close()
	r.file = nil
	r.next++
	if bad := want.check(r.size, r.sum.Sum32()); bad != nil {
		// The database may have the same file.
		err = fmt.Errorf("%w: %w", storage.ErrRot, bad)
		r.store.disk.fatal(fmt.Errorf("read snapshot %s: %w", r.of.dir, err))
	}
	if err != nil {
		return fmt.Errorf("read snapshot %s: %w", r.of.dir, err)
	}
	return nil
}

// Close lets the snapshot go.
func (r *snapshotReader) Close() (err error) {
	r.release.Do(func() {
		if r.file != nil {
			err = r.file.Close()
		}
		r.store.unpin(r.of)
	})
	return err
}
