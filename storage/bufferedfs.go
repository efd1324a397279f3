package storage

import (
	"errors"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// bufferedFS is between Pebble and its file system, and has tables written, and read
// from one end to the other, in large pieces (ADR 28). Pebble does that block by block,
// some 5 KB at a time: a quarter of what flushes and compactions take would be calls of
// the system.
type bufferedFS struct{ vfs.FS }

// tableBufferBytes are for each table that is being written, and for each that a
// compaction or a long scan reads. A compaction has one for every sublevel of L0 that
// it takes, and a few more.
const tableBufferBytes = 64 << 10

var tableBuffers = sync.Pool{New: func() any { return new([tableBufferBytes]byte) }}

// Create buffers what is written to a table, until it is synced or closed.
func (fs bufferedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := fs.FS.Create(name, c)
	if err != nil || !WrittenOnce(name) {
		return file, err
	}
	return &tableWriter{File: file, buf: tableBuffers.Get().(*[tableBufferBytes]byte)}, nil
}

// Open buffers what is read of a table that is opened to be read in order.
func (fs bufferedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := fs.FS.Open(name, opts...)
	if err != nil || !WrittenOnce(name) || len(opts) != 1 || opts[0] != vfs.SequentialReadsOption {
		return file, err
	}
	return &tableReader{File: file}, nil
}

// Unwrap gives the file system underneath.
func (fs bufferedFS) Unwrap() vfs.FS { return fs.FS }

// tableWriter is for one goroutine, as Pebble's writers of tables are.
type tableWriter struct {
	vfs.File
	buf *[tableBufferBytes]byte // nil once closed
	n   int                     // of it that are to be written
	err error                   // of the first write that failed
}

func (w *tableWriter) Write(p []byte) (written int, err error) {
	for err = w.err; err == nil && written < len(p); {
		n := copy(w.buf[w.n:], p[written:])
		w.n += n
		written += n
		if w.n == len(w.buf) {
			err = w.flush()
		}
	}
	return written, err
}

// flush hands on what is buffered. What failed once is not tried again: it is not known
// how much of it was written.
func (w *tableWriter) flush() error {
	if w.err == nil && w.n > 0 {
		_, w.err = w.File.Write(w.buf[:w.n])
		w.n = 0
	}
	return w.err
}

func (w *tableWriter) Sync() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.File.Sync()
}

func (w *tableWriter) SyncData() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.File.SyncData()
}

func (w *tableWriter) SyncTo(length int64) (full bool, err error) {
	if err := w.flush(); err != nil {
		return false, err
	}
	return w.File.SyncTo(length)
}

func (w *tableWriter) Stat() (vfs.FileInfo, error) {
	if err := w.flush(); err != nil {
		return nil, err
	}
	return w.File.Stat()
}

func (w *tableWriter) Close() error {
	err := w.flush()
	if w.buf != nil {
		tableBuffers.Put(w.buf)
		w.buf = nil
	}
	if closing := w.File.Close(); err == nil {
		err = closing
	}
	return err
}

// tableReader has read a piece of its file from where it was asked last, if it was asked for
// what lies behind what it was asked for before: Pebble takes looks for ascending keys far
// apart for a scan.
type tableReader struct {
	vfs.File
	mu    sync.Mutex
	buf   *[tableBufferBytes]byte // nil before the first piece, and once closed
	start int64                   // of the file, where the buffer begins
	n     int                     // of the buffer that are of the file
	next  int64                   // of the file, where the last read ended
}

func (r *tableReader) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	goesOn := off == r.next
	r.next = off + int64(len(p))
	if goesOn && len(p) <= tableBufferBytes && !r.has(p, off) {
		r.fill(off)
	}
	if !r.has(p, off) {
		// It is too long, or ends behind the file, or what can't be read is asked for
		// alone: it may be the rest of the piece that can't.
		return r.File.ReadAt(p, off)
	}
	return copy(p, r.buf[off-r.start:r.n]), nil
}

// has says whether what is to be read is in the buffer.
func (r *tableReader) has(p []byte, off int64) bool {
	return r.buf != nil && off >= r.start && off+int64(len(p)) <= r.start+int64(r.n)
}

func (r *tableReader) fill(off int64) {
	if r.buf == nil {
		r.buf = tableBuffers.Get().(*[tableBufferBytes]byte)
	}
	n, err := r.File.ReadAt(r.buf[:], off)
	if err != nil && !errors.Is(err, io.EOF) {
		n = 0
	}
	r.start, r.n = off, n
}

func (r *tableReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf != nil {
		tableBuffers.Put(r.buf)
		r.buf, r.n = nil, 0
	}
	return r.File.Close()
}
