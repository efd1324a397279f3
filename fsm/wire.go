package fsm

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"pipesync/storage"
)

// Kinds of the formats that aren't entries. They share one numbering with the
// entry kinds, so that no format's bytes can be taken for another's.
const (
	formatStamp    = 0x80
	formatResult   = 0x81
	formatSnapshot = 0x82

	formatSnapshotMeta = 0x8f
)

// Integers of fixed width are big-endian; "text" is a uvarint length and that
// many bytes.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoder appends fields to b. Lengths have been validated by the caller.
type encoder struct{ b []byte }

func (e *encoder) u8(v byte)        { e.b = append(e.b, v) }
func (e *encoder) u32(v uint32)     { e.b = binary.BigEndian.AppendUint32(e.b, v) }
func (e *encoder) u64(v uint64)     { e.b = binary.BigEndian.AppendUint64(e.b, v) }
func (e *encoder) uvarint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) raw(v []byte)     { e.b = append(e.b, v...) }

func (e *encoder) seq(s storage.Seq) {
	e.u64(s.Index)
	e.u32(s.Offset)
}

func (e *encoder) text(v string) {
	e.uvarint(uint64(len(v)))
	e.b = append(e.b, v...)
}

// texts appends how many there are, and then each of them.
func (e *encoder) texts(list []string) {
	e.uvarint(uint64(len(list)))
	for _, v := range list {
		e.text(v)
	}
}

func (e *encoder) textBytes(v []byte) {
	e.uvarint(uint64(len(v)))
	e.b = append(e.b, v...)
}

// decoder reads fields off the front of b. The first failure sticks: later
// reads return zero values, and done reports it.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
}

// bytes returns the next n bytes, aliasing the input; never nil unless it fails.
func (d *decoder) bytes(what string, n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > len(d.b) {
		d.fail("%s needs %d bytes, %d are left", what, n, len(d.b))
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) fill(what string, dst []byte) { copy(dst, d.bytes(what, len(dst))) }

func (d *decoder) u8(what string) byte {
	if v := d.bytes(what, 1); v != nil {
		return v[0]
	}
	return 0
}

func (d *decoder) u32(what string) uint32 {
	if v := d.bytes(what, 4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (d *decoder) u64(what string) uint64 {
	if v := d.bytes(what, 8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (d *decoder) seq(what string) storage.Seq {
	return storage.Seq{Index: d.u64(what), Offset: d.u32(what)}
}

// uvarint accepts the shortest encoding only, so that equal values have equal bytes.
func (d *decoder) uvarint(what string, limit uint64) uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 || (n > 1 && d.b[n-1] == 0) {
		d.fail("%s is not a number", what)
		return 0
	}
	if v > limit {
		d.fail("%s is %d, at most %d", what, v, limit)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uvarint32(what string) uint32 {
	return uint32(d.uvarint(what, math.MaxUint32))
}

func (d *decoder) text(what string, limitBytes int) string {
	return string(d.textBytes(what, limitBytes))
}

func (d *decoder) textBytes(what string, limitBytes int) []byte {
	n := d.uvarint(what, uint64(limitBytes))
	return d.bytes(what, int(n))
}

// done returns the first failure, or one for bytes that are left over.
func (d *decoder) done() error {
	if d.err == nil && len(d.b) != 0 {
		d.fail("%d bytes too many", len(d.b))
	}
	return d.err
}
