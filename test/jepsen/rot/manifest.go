package rot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The manifest says of which tables the database consists: records, each of which
// changes that. A record is one chunk or several, in blocks of 32 KiB that no chunk
// goes beyond:
//
//	checksum (4) │ length (2) │ part (1): 1 the whole record, 2 its first, 3 a middle, 4 its last │ bytes
const (
	manifestBlock = 32 << 10
	chunkHeader   = 7
	wholeRecord   = 1
	lastOfARecord = 4
	chunkLengthAt = 4
	chunkPartAt   = 6
)

// ManifestRecord is a record of the manifest of the state in dir, a node's directory, that
// others follow: what they say counts.
func ManifestRecord(dir string, rng *rand.Rand) (Place, error) {
	return inManifest(dir, func(records []Place) (int, error) {
		if len(records) < 2 {
			return 0, ErrNothing
		}
		return rng.IntN(len(records) - 1), nil
	})
}

// ManifestTail is the last record of the manifest. Without it the manifest is a whole one, of
// an older state: what is noticed are the tables of that which are there no longer.
func ManifestTail(dir string, _ *rand.Rand) (Place, error) {
	p, err := inManifest(dir, func(records []Place) (int, error) {
		if len(records) == 0 {
			return 0, ErrNothing
		}
		return len(records) - 1, nil
	})
	p.Told = "a file has rotted"
	return p, err
}

func inManifest(dir string, choose func([]Place) (int, error)) (Place, error) {
	db, err := database(dir)
	if err != nil {
		return Place{}, err
	}
	desc, err := pebble.Peek(db, vfs.Default)
	if err != nil || !desc.Exists {
		return Place{}, errors.Join(err, ErrNothing)
	}
	path := desc.ManifestFilename
	content, err := os.ReadFile(path)
	if err != nil {
		return Place{}, err
	}
	records := manifestRecords(content)
	n, err := choose(records)
	if err != nil {
		return Place{}, err
	}
	p := records[n]
	p.File, p.Told = path, filepath.Base(path)
	p.What = fmt.Sprintf("record %d of %d of %s", n+1, len(records), p.Told)
	damaged := bytes.Clone(content)
	damaged[p.Offset+p.Length/2] ^= 1
	if all, some := readRecords(content), readRecords(damaged); all != len(records) || some != n {
		return Place{}, fmt.Errorf("%s has %d records, %d by Pebble, which reads %d where the %dth is damaged", path, len(records), all, some, n+1)
	}
	return p, nil
}

// manifestRecords are the bytes of each record, but for the headers of its chunks.
func manifestRecords(content []byte) (records []Place) {
	var begun Place
	for at := 0; at+chunkHeader <= len(content); {
		left := manifestBlock - at%manifestBlock
		length, part := int(binary.LittleEndian.Uint16(content[at+chunkLengthAt:])), content[at+chunkPartAt]
		if left < chunkHeader || part == 0 {
			at += left
			continue
		}
		if begun.Length == 0 {
			begun = Place{Offset: int64(at + chunkHeader), Length: int64(length)}
		}
		if part == wholeRecord || part == lastOfARecord {
			records = append(records, begun)
			begun = Place{}
		}
		at += chunkHeader + length
	}
	return records
}

// readRecords is how many records Pebble reads.
func readRecords(content []byte) (n int) {
	for in := record.NewReader(bytes.NewReader(content), 0); ; n++ {
		r, err := in.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			return n
		}
	}
}
