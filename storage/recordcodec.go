package storage

import (
	"bytes"
	"encoding/binary"
)

// flagTombstone is the only flag of a fingerprint.
const flagTombstone byte = 1 << 0

//	+---------+-------+--------------------+-----------+------------+
//	| version | flags | sync timestamp i64 | index u64 | offset u32 |
//	+---------+-------+--------------------+-----------+------------+
//	| hash 16, size uvarint, or of a tombstone: buried at i64 |
//	+---------------------------------------------------------+
//
//	flags: bit 0 = tombstone; the others are 0
//	index, offset: the seq of the last change

func (f Fingerprint) encode(w *writer) {
	var flags byte
	if f.Tombstone {
		flags |= flagTombstone
	}
	w.u8(rowVersion)
	w.u8(flags)
	w.i64(f.SyncTimestamp)
	w.u64(f.Changed.Index)
	w.u32(f.Changed.Offset)
	if f.Tombstone {
		w.i64(f.BuriedAt)
	} else {
		w.raw(f.Hash[:])
		w.uvarint(uint64(f.Size))
	}
}

func (f *Fingerprint) decode(r *reader) {
	r.version(rowVersion)
	f.Tombstone = r.flags(flagTombstone)&flagTombstone != 0
	f.SyncTimestamp = r.i64()
	f.Changed.Index = r.u64()
	f.Changed.Offset = r.u32()
	if f.Tombstone {
		f.BuriedAt = r.i64()
	} else {
		copy(f.Hash[:], r.take(16))
		f.Size = r.uvarint32()
	}
}

// fingerprintHead are the bytes of a fingerprint before what a record's and a tombstone's
// differ in, and liveHead those before the size of a record's.
const (
	fingerprintHead = 2 + 8 + 8 + 4
	liveHead        = fingerprintHead + 16
)

// decodeFingerprint is decodeRow for those who have many.
func decodeFingerprint(key, value []byte) (f Fingerprint, err error) {
	// Nearly all are of live records, with a size of two bytes at most. What is anything
	// else, or wrong, is for decode.
	if n := len(value) - liveHead; (n == 1 && value[liveHead] < 0x80 || n == 2 && value[liveHead] >= 0x80 && value[liveHead+1]-1 < 0x7f) &&
		value[0] == rowVersion && value[1] == 0 {
		f.SyncTimestamp = int64(binary.BigEndian.Uint64(value[2:]))
		f.Changed = Seq{binary.BigEndian.Uint64(value[10:]), binary.BigEndian.Uint32(value[18:])}
		f.Hash = Hash(value[fingerprintHead:liveHead])
		f.Size = uint32(value[liveHead])
		if n == 2 {
			f.Size = f.Size&0x7f | uint32(value[liveHead+1])<<7
		}
		return f, nil
	}
	r := reader{b: value, what: "value"}
	f.decode(&r)
	if err := r.done(); err != nil {
		return Fingerprint{}, readError(key, err)
	}
	return f, nil
}

// changes are those of one row.
type changes []ChangeAt

//	+---------+----------+-------------------------------+-------------------+--------+
//	| version | count u8 | offset − one more than that   | namespace uvarint | id str |   the last three
//	|         |          | of the one before, uvarint    |                   |        |   for each change
//	+---------+----------+-------------------------------+-------------------+--------+

func (list changes) encode(w *writer) {
	w.u8(rowVersion)
	w.u8(byte(len(list)))
	next := uint32(0)
	for i := range list {
		c := &list[i]
		w.uvarint(uint64(c.Offset - next))
		w.uvarint(uint64(c.Namespace))
		w.str(c.ID)
		next = c.Offset + 1
	}
}

func (list *changes) decode(r *reader) {
	r.version(rowVersion)
	n := r.u8()
	if n == 0 || n > ChangesInRow {
		r.fail("%d changes", n)
	}
	for next := uint64(0); n > 0 && r.err == nil; n-- {
		offset, ns := next+r.uvarint(), r.uvarint()
		c := ChangeAt{uint32(offset), Change{NamespaceNum(ns), r.str()}}
		if offset < next || uint64(c.Offset) != offset || uint64(c.Namespace) != ns {
			r.fail("a number is too large")
		}
		*list = append(*list, c)
		next = offset + 1
	}
}

//	+---------+-----------+
//	| version | after str |
//	+---------+-----------+

func (g Retired) encode(w *writer) {
	w.u8(rowVersion)
	w.str(g.After)
}

func (g *Retired) decode(r *reader) {
	r.version(rowVersion)
	g.After = r.str()
}

//	+---------+-------------+-------------------+--------------------+
//	| version | entries u64 | horizon index u64 | horizon offset u32 |
//	+---------+-------------+-------------------+--------------------+

func (h ChangeHead) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(h.Entries)
	w.u64(h.Horizon.Index)
	w.u32(h.Horizon.Offset)
}

func (h *ChangeHead) decode(r *reader) {
	r.version(rowVersion)
	h.Entries = r.u64()
	h.Horizon = Seq{r.u64(), r.u32()}
}

// The flags of a content row say which fields are present: an absent field is
// not an empty one.
const (
	flagData byte = 1 << iota
	flagFile
	flagSourceSystem
	flagCreatedAt
	flagUpdatedAt

	contentFlags = flagData | flagFile | flagSourceSystem | flagCreatedAt | flagUpdatedAt
)

//	+---------+-------+-------------+-------------------------+
//	| version | flags | sync id str | source system bytes (2) |
//	+---------+-------+-------------+-------------------------+
//	| created at bytes (3) | updated at bytes (4)             |
//	+----------------------+----------------------------------+
//	| file bytes (1)       | data bytes (0)                   |
//	+----------------------+----------------------------------+
//
//	(n): there only where bit n of flags is set; bits 5 to 7 are 0

func (c Content) encode(w *writer) {
	w.u8(rowVersion)
	w.u8(c.flags())
	w.str(c.SyncID)
	for _, field := range [...][]byte{c.SourceSystem, c.CreatedAt, c.UpdatedAt, c.File, c.Data} {
		if field != nil {
			w.bytes(field)
		}
	}
}

func (c Content) flags() byte {
	var flags byte
	for i, field := range [...][]byte{c.Data, c.File, c.SourceSystem, c.CreatedAt, c.UpdatedAt} {
		if field != nil {
			flags |= 1 << i
		}
	}
	return flags
}

// decode copies the row, once, so that the fields don't alias what it reads.
func (c *Content) decode(r *reader) {
	r.b = bytes.Clone(r.b)
	r.version(rowVersion)
	flags := r.flags(contentFlags)
	c.SyncID = r.str()
	field := func(flag byte) []byte {
		if flags&flag == 0 {
			return nil
		}
		return r.bytes()
	}
	c.SourceSystem = field(flagSourceSystem)
	c.CreatedAt = field(flagCreatedAt)
	c.UpdatedAt = field(flagUpdatedAt)
	c.File = field(flagFile)
	c.Data = field(flagData)
}
