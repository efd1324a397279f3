package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
)

// bbolt keeps no checksums of what it stores, so each entry and each of Raft's
// variables (term, vote) is sealed with its own before it is stored, and opened
// when it is read.
//
// A sealed entry is the entry with these bytes before its own extensions:
//
//	 0      1         2        6
//	┌──────┬─────────┬────────┬──────────────────────────┐
//	│ 0xc1 │ version │ crc32c │ the entry's extensions … │
//	└──────┴─────────┴────────┴──────────────────────────┘
//	summed: kind, version │ index (8) │ term (8) │ type (1) │ appended at: seconds (8), nanoseconds (4) │
//	        length of the data (8) │ data │ extensions
//
// A sealed variable:
//
//	 0      1         2        6
//	┌──────┬─────────┬────────┬─────────┐
//	│ 0xc2 │ version │ crc32c │ value … │
//	└──────┴─────────┴────────┴─────────┘
//	summed: kind, version │ length of the name (8) │ name │ value
const (
	sealKindEntry    = 0xc1
	sealKindVariable = 0xc2
	sealVersion      = 1
	sealSumAt        = 2
	sealBytes        = 6
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errChecksum   = errors.New("its checksum differs")
	errNoChecksum = errors.New("it carries no checksum")
)

// sealEntry returns e as it is stored. e itself stays as it is: Raft uses it on.
func sealEntry(e *raft.Log) *raft.Log {
	sealed := *e
	sealed.Extensions = appendSeal(make([]byte, 0, sealBytes+len(e.Extensions)), sealKindEntry, entrySum(e))
	sealed.Extensions = append(sealed.Extensions, e.Extensions...)
	return &sealed
}

// openEntry verifies the entry that was stored as index, and takes the seal off.
func openEntry(e *raft.Log, index uint64) error {
	if e.Index != index {
		return fmt.Errorf("it says that it is entry %d", e.Index)
	}
	ext, sum, err := cutSeal(e.Extensions, sealKindEntry)
	if err != nil {
		return err
	}
	e.Extensions = ext
	if entrySum(e) != sum && !planted.Is(planted.NoChecksum) {
		return errChecksum
	}
	return nil
}

func entrySum(e *raft.Log) uint32 {
	b := make([]byte, 0, 64)
	b = append(b, sealKindEntry, sealVersion)
	b = binary.BigEndian.AppendUint64(b, e.Index)
	b = binary.BigEndian.AppendUint64(b, e.Term)
	b = append(b, byte(e.Type))
	b = binary.BigEndian.AppendUint64(b, uint64(e.AppendedAt.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(e.AppendedAt.Nanosecond()))
	b = binary.BigEndian.AppendUint64(b, uint64(len(e.Data)))
	sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, e.Data)
	return crc32.Update(sum, castagnoli, e.Extensions)
}

func sealVariable(name, value []byte) []byte {
	b := make([]byte, 0, sealBytes+len(value))
	return append(appendSeal(b, sealKindVariable, variableSum(name, value)), value...)
}

func openVariable(name, stored []byte) ([]byte, error) {
	value, sum, err := cutSeal(stored, sealKindVariable)
	if err != nil {
		return nil, err
	}
	if variableSum(name, value) != sum {
		return nil, errChecksum
	}
	return value, nil
}

func variableSum(name, value []byte) uint32 {
	b := append(make([]byte, 0, 64), sealKindVariable, sealVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(len(name)))
	sum := crc32.Checksum(append(b, name...), castagnoli)
	return crc32.Update(sum, castagnoli, value)
}

func appendSeal(b []byte, kind byte, sum uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, kind, sealVersion), sum)
}

// cutSeal returns what follows the seal, nil for nothing.
func cutSeal(b []byte, kind byte) (rest []byte, sum uint32, err error) {
	if len(b) < sealBytes || b[0] != kind {
		return nil, 0, errNoChecksum
	}
	if b[1] != sealVersion {
		return nil, 0, fmt.Errorf("its checksum is of version %d, which this program doesn't know", b[1])
	}
	if len(b) > sealBytes {
		rest = slices.Clip(b[sealBytes:])
	}
	return rest, binary.BigEndian.Uint32(b[sealSumAt:]), nil
}
