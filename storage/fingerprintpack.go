package storage

import "encoding/binary"

// In the fingerprintTable a row takes up as little as a usual one can, integers being
// big-endian:
//
//	+----------------+-----------+------------------------+-------------------------+----------+
//	| timestamp 8    | index 5   | tombstone bit, offset  | hash 16, or 8 of        | size u16 |
//	|                |           | 15 bits                | BuriedAt and 8 of 0     |          |
//	+----------------+-----------+------------------------+-------------------------+----------+
const (
	packedIndex     = 8
	packedOffset    = packedIndex + 5
	packedHash      = packedOffset + 2
	packedSize      = packedHash + 16
	packedBytes     = packedSize + 2
	packedTombstone = 1 << 15
)

// packs says whether the row is a usual one: of an entry before the 2^40th and less than
// 64 KiB.
func (f *Fingerprint) packs() bool {
	return f.Changed.Index < 1<<40 && f.Changed.Offset < packedTombstone && f.Size < 1<<16
}

func (f *Fingerprint) pack(to *[packedBytes]byte) {
	binary.BigEndian.PutUint64(to[:], uint64(f.SyncTimestamp))
	to[packedIndex] = byte(f.Changed.Index >> 32)
	binary.BigEndian.PutUint32(to[packedIndex+1:], uint32(f.Changed.Index))
	offset := uint16(f.Changed.Offset)
	if f.Tombstone {
		offset |= packedTombstone
		f.packBuried(to)
	} else {
		copy(to[packedHash:], f.Hash[:])
	}
	binary.BigEndian.PutUint16(to[packedOffset:], offset)
	binary.BigEndian.PutUint16(to[packedSize:], uint16(f.Size))
}

func (f *Fingerprint) packBuried(to *[packedBytes]byte) {
	clear(to[packedHash:packedSize])
	binary.BigEndian.PutUint64(to[packedHash:], uint64(f.BuriedAt))
}

func (f *Fingerprint) unpack(from *[packedBytes]byte) {
	f.SyncTimestamp = int64(binary.BigEndian.Uint64(from[:]))
	f.Changed.Index = uint64(from[packedIndex])<<32 | uint64(binary.BigEndian.Uint32(from[packedIndex+1:]))
	offset := binary.BigEndian.Uint16(from[packedOffset:])
	f.Changed.Offset = uint32(offset &^ packedTombstone)
	f.Size = uint32(binary.BigEndian.Uint16(from[packedSize:]))
	if f.Tombstone = offset&packedTombstone != 0; f.Tombstone {
		f.BuriedAt = int64(binary.BigEndian.Uint64(from[packedHash:]))
	} else {
		copy(f.Hash[:], from[packedHash:])
	}
}
