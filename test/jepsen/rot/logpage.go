package rot

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// bbolt's pages: a header of an id, a kind, how many elements there are and how many
// further pages; elements, that say where their keys are and which page they refer to; keys.
// The first two are meta pages, by turns the one of the last commit.
const (
	pageHeader     = 16
	pageElement    = 16
	pageKindAt     = 8
	pageCountAt    = 10
	pageFurtherAt  = 12
	branchKind     = 1
	leafKind       = 2
	metaBytes      = 64
	metaPages      = 2
	pageHasRotted  = "a page in raft.db has rotted"
	maxRunOfAValue = 1 << 14 // pages
)

// LogPage is what one of two pages of raft.db in dir, a node's directory, says of others,
// without which nothing is found: the meta page of the last commit, or the root of the
// entries.
func LogPage(dir string, rng *rand.Rand) (Place, error) {
	return inLog(dir, func(f *logFile) (Place, error) {
		size := int64(f.db.Info().PageSize)
		if rng.IntN(2) == 0 {
			newest := int64(f.tx.ID() % metaPages)
			return Place{File: f.path, Offset: newest*size + pageHeader, Length: metaBytes, What: "the meta page of the last commit", Told: pageHasRotted}, nil
		}
		root := int64(f.tx.Bucket(entriesBucket).Root())
		header, err := f.read(root*size, pageHeader)
		if err != nil || root == 0 || binary.NativeEndian.Uint16(header[pageKindAt:]) != branchKind {
			return Place{}, orNothing(err)
		}
		p := Place{File: f.path, Offset: root * size, Length: pageFurtherAt, What: fmt.Sprintf("page %d, above all entries", root), Told: pageHasRotted}
		if rng.IntN(2) == 0 {
			p.Offset, p.Length = p.Offset+pageHeader, int64(binary.NativeEndian.Uint16(header[pageCountAt:]))*pageElement
		}
		return p, nil
	})
}

// LogTail is the page with the last entry of the log, with all that is its own.
func LogTail(dir string, _ *rand.Rand) (Place, error) {
	return inLog(dir, func(f *logFile) (Place, error) {
		key, _ := f.tx.Bucket(entriesBucket).Cursor().Last()
		if key == nil {
			return Place{}, ErrNothing
		}
		size := int64(f.db.Info().PageSize)
		page := f.offset(key) / size
		for first := page; first >= metaPages && page-first < maxRunOfAValue; first-- {
			header, err := f.read(first*size, pageHeader)
			if err != nil {
				return Place{}, err
			}
			further := int64(binary.NativeEndian.Uint32(header[pageFurtherAt:]))
			if int64(binary.NativeEndian.Uint64(header)) == first && binary.NativeEndian.Uint16(header[pageKindAt:]) == leafKind && first+further >= page {
				return Place{File: f.path, Offset: first * size, Length: (1 + further) * size,
					What: fmt.Sprintf("page %d, with the last entry", first), Told: pageHasRotted}, nil
			}
		}
		return Place{}, ErrNothing
	})
}

func orNothing(err error) error {
	if err == nil {
		return ErrNothing
	}
	return err
}
