package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The manifest says of which tables a database consists: records, each of which changes
// that, and is on the disk before the next is written. Pebble takes whatever it can't read for
// the end, opens the older database that is written down before it, and removes
// the tables that this one lacks. That is right for the last record alone, which a crash may
// have cut off.
//
// A record is one chunk or more, in blocks of 32 KiB that no chunk goes beyond:
//
//	 0        4        6      7
//	┌────────┬────────┬──────┬─────────┐
//	│ crc32c │ length │ part │ bytes … │
//	└────────┴────────┴──────┴─────────┘
//
// in little endian; the checksum, in LevelDB's mask, covers part and bytes.
const (
	manifestBlockBytes = 32 << 10
	chunkHeaderBytes   = 7
	chunkLengthAt      = 4
	chunkPartAt        = 6

	wholeRecord  = 1
	firstOfSome  = 2
	lastOfSome   = 4
	sumMaskShift = 15
	sumMaskDelta = 0xa282ead8

	// manifestMaxBytes is far beyond where Pebble begins another one.
	manifestMaxBytes = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkManifest refuses a database whose manifest has rotted where records follow, or that
// begins with none. Its error matches ErrRot.
func checkManifest(fs vfs.FS, dir string) error {
	desc, err := pebble.Peek(dir, fs)
	if err != nil || !desc.Exists {
		return nil // whatever that is, Pebble meets it again
	}
	path := desc.ManifestFilename
	b, err := readAll(fs, path)
	if err != nil {
		return err
	}
	end, records := wholeRecords(b)
	if records == 0 {
		return fmt.Errorf("%s: %w: its first record can't be read", path, ErrRot)
	}
	if next := nextRecord(b, end); next >= 0 {
		return fmt.Errorf("%s: %w: the record at byte %d can't be read, and there is one behind it, at byte %d", path, ErrRot, end, next)
	}
	return nil
}

func readAll(fs vfs.FS, path string) ([]byte, error) {
	file, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(file, manifestMaxBytes))
	return b, errors.Join(err, file.Close())
}

// wholeRecords tells where the first record begins that isn't whole, and how many are
// before it.
func wholeRecords(b []byte) (end, n int) {
	begun := false
	for at := 0; ; {
		at = skipPadding(at)
		part, length := chunkAt(b, at)
		if part == 0 || begun == (part == wholeRecord || part == firstOfSome) {
			return end, n
		}
		at += length
		if begun = part != wholeRecord && part != lastOfSome; !begun {
			end = at
			n++
		}
	}
}

// skipPadding is where the next chunk may begin: where no header fits, a block is at
// its end.
func skipPadding(at int) int {
	if left := manifestBlockBytes - at%manifestBlockBytes; left < chunkHeaderBytes {
		return at + left
	}
	return at
}

// chunkAt is the part of a record and the length, header included, of the chunk that
// begins there; 0 where none does.
func chunkAt(b []byte, at int) (part byte, length int) {
	left := min(len(b)-at, manifestBlockBytes-at%manifestBlockBytes)
	if left < chunkHeaderBytes {
		return 0, 0
	}
	length = chunkHeaderBytes + int(binary.LittleEndian.Uint16(b[at+chunkLengthAt:]))
	part = b[at+chunkPartAt]
	if length > left || part == 0 || part > lastOfSome {
		return 0, 0
	}
	sum := crc32.Checksum(b[at+chunkPartAt:at+length], castagnoli)
	if masked := (sum>>sumMaskShift | sum<<(32-sumMaskShift)) + sumMaskDelta; masked != binary.LittleEndian.Uint32(b[at:]) {
		return 0, 0
	}
	return part, length
}

// nextRecord is where the first record behind a byte begins, as its length may have rotted
// that stands there; -1 where there is none.
func nextRecord(b []byte, behind int) int {
	for at := behind + 1; at < len(b); at++ {
		if part, _ := chunkAt(b, at); part == wholeRecord || part == firstOfSome {
			return at
		}
	}
	return -1
}
