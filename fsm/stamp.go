package fsm

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Stamp is what the leader adds to an entry when it appends it: the raft
// extension bytes. An entry whose Term isn't the log's was stamped in an
// earlier leadership, and is fenced.
type Stamp struct {
	Term        uint64
	ClusterTime int64 // nanoseconds since bootstrap
	WallTime    int64 // nanoseconds since the Unix epoch
}

// A stamp's bytes:
//
//	 0       1         2        10             18          26       30
//	┌──────┬─────────┬────────┬──────────────┬───────────┬────────┐
//	│ 0x80 │ version │ term   │ cluster time │ wall time │ crc32c │
//	└──────┴─────────┴────────┴──────────────┴───────────┴────────┘
//
// The checksum covers the 26 bytes before it and then the whole entry body: the
// log store detects no rot of its own.
const (
	stampVersion  = 1
	stampSumAt    = 26
	stampBytes    = 30
	stampTermAt   = 2
	stampClusterT = 10
	stampWallT    = 18
)

// EncodeStamp returns the extension bytes that go with body.
func EncodeStamp(s Stamp, body []byte) []byte {
	e := encoder{make([]byte, 0, stampBytes)}
	e.u8(formatStamp)
	e.u8(stampVersion)
	e.u64(s.Term)
	e.u64(uint64(s.ClusterTime))
	e.u64(uint64(s.WallTime))
	e.u32(stampSum(e.b, body))
	return e.b
}

// DecodeStamp verifies ext against body. Its errors match ErrUnknownFormat or
// ErrCorrupt.
func DecodeStamp(ext, body []byte) (Stamp, error) {
	if len(ext) < 2 || ext[0] != formatStamp {
		return Stamp{}, fmt.Errorf("decode stamp: %w: %d bytes that are no stamp", ErrCorrupt, len(ext))
	}
	if ext[1] != stampVersion {
		return Stamp{}, fmt.Errorf("decode stamp: version %d: %w", ext[1], ErrUnknownFormat)
	}
	if len(ext) != stampBytes {
		return Stamp{}, fmt.Errorf("decode stamp: %w: %d bytes, want %d", ErrCorrupt, len(ext), stampBytes)
	}
	if stampSum(ext[:stampSumAt], body) != binary.BigEndian.Uint32(ext[stampSumAt:]) {
		return Stamp{}, fmt.Errorf("decode stamp: %w: checksum of stamp and body differs", ErrCorrupt)
	}
	return Stamp{
		Term:        binary.BigEndian.Uint64(ext[stampTermAt:]),
		ClusterTime: int64(binary.BigEndian.Uint64(ext[stampClusterT:])),
		WallTime:    int64(binary.BigEndian.Uint64(ext[stampWallT:])),
	}, nil
}

func stampSum(fields, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(fields, castagnoli), castagnoli, body)
}
