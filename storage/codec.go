package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// ErrCorrupt is wrapped by every error that means that stored bytes aren't
// what was written: a block whose checksum is wrong, a row that doesn't
// decode. The database is of no use any more.
var ErrCorrupt = errors.New("stored data is corrupt")

// ErrRot is wrapped by the error that Options.Fatal gets where a file isn't what
// was written. Such an error names the file, and matches ErrCorrupt too.
var ErrRot = fmt.Errorf("a file has rotted: %w", ErrCorrupt)

// writer writes the fields of a row. Without a buffer it only counts, so that
// one list of fields gives both the size and the bytes of a row.
type writer struct {
	buf []byte // nil: count
	n   int
}

func (w *writer) u8(v byte) {
	if w.buf != nil {
		w.buf[w.n] = v
	}
	w.n++
}

func (w *writer) u32(v uint32) {
	if w.buf != nil {
		binary.BigEndian.PutUint32(w.buf[w.n:], v)
	}
	w.n += 4
}

func (w *writer) u64(v uint64) {
	if w.buf != nil {
		binary.BigEndian.PutUint64(w.buf[w.n:], v)
	}
	w.n += 8
}

func (w *writer) i64(v int64) { w.u64(uint64(v)) }

func (w *writer) uvarint(v uint64) {
	if w.buf != nil {
		binary.PutUvarint(w.buf[w.n:], v)
	}
	w.n += uvarintLen(v)
}

func (w *writer) raw(b []byte) {
	if w.buf != nil {
		copy(w.buf[w.n:], b)
	}
	w.n += len(b)
}

func (w *writer) bytes(b []byte) {
	w.uvarint(uint64(len(b)))
	w.raw(b)
}

func (w *writer) str(s string) {
	w.uvarint(uint64(len(s)))
	if w.buf != nil {
		copy(w.buf[w.n:], s)
	}
	w.n += len(s)
}

// strs is how many there are, and then each of them.
func (w *writer) strs(list []string) {
	w.uvarint(uint64(len(list)))
	for _, s := range list {
		w.str(s)
	}
}

// uvarintLen is how many bytes of seven bits v takes, at least one.
func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// encodeRow gives the bytes of a row in memory of its own.
func encodeRow[R interface{ encode(*writer) }](row R) []byte {
	var w writer
	row.encode(&w)
	w = writer{buf: make([]byte, w.n)}
	row.encode(&w)
	return w.buf
}

// reader reads what writer wrote. The first failure sticks: later reads give
// zeros, and done tells it. Slices that it gives alias the row.
type reader struct {
	b    []byte
	what string
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("decode %s: %s: %w", r.what, fmt.Sprintf(format, args...), ErrCorrupt)
	}
	r.b = nil
}

// take gives the next n bytes, or nil where there are fewer.
func (r *reader) take(n uint64) []byte {
	if uint64(len(r.b)) < n {
		r.fail("%d bytes needed, %d left", n, len(r.b))
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) i64() int64 { return int64(r.u64()) }

// uvarint refuses padded numbers, so that a row has one encoding only.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n != uvarintLen(v) {
		r.fail("bad length")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte { return r.take(r.uvarint()) }
func (r *reader) str() string   { return string(r.bytes()) }

// strs gives nil where there are none.
func (r *reader) strs() []string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail("%d strings in %d bytes", n, len(r.b))
	}
	if r.err != nil || n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.str()
	}
	return list
}

func (r *reader) rest() string {
	s := string(r.b)
	r.b = nil
	return s
}

// flags gives a byte in which only the bits of known may be set.
func (r *reader) flags(known byte) byte {
	f := r.u8()
	if f&^known != 0 {
		r.fail("unknown flags 0x%02x", f&^known)
	}
	return f
}

// version refuses rows that a newer program wrote.
func (r *reader) version(want byte) {
	if v := r.u8(); r.err == nil && v != want {
		r.fail("version %d, this program knows only %d", v, want)
	}
}

// done gives the first failure; bytes left over are one.
func (r *reader) done() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes left over", len(r.b))
	}
	return r.err
}
