package fsm

import (
	"fmt"

	"pipesync/storage"
)

// Scrub is what a look at every row of a state has found.
type Scrub struct {
	Index uint64   // of the last entry in the state
	Hash  [32]byte // of all rows: nodes that have the same at an index have equal states
	Rows  uint64
	Bytes uint64 // of keys and values
	// Problems are contradictions between rows and rows that can't be read, in words
	// without anybody's data; there are no more than maxScrubProblems of them.
	Problems []string
}

const maxScrubProblems = 10

// Scrub reads all rows, hashes them, and compares what they add up to with what is
// counted: see rowSums. pace is told the size of each row, and may wait; an error of
// it ends the scrub. A row that can't be read is a problem, and in the hash as it is,
// so that it is told by the others' hashes which of them has rotted. It holds some 200
// bytes for each namespace, and somewhat more for each store.
func (v *View) Scrub(pace func(bytes int) error) (Scrub, error) {
	s := Scrub{Index: v.Applied()}
	hash := storage.NewRowHash()
	sums := newRowSums()
	visitor := sums.visitor()
	visitor.Any = func(key, value []byte) error {
		hash.Add(key, value)
		s.Rows++
		s.Bytes += uint64(len(key) + len(value))
		return pace(len(key) + len(value))
	}
	visitor.Unreadable = func(err error) { s.complain("%v", err) }
	if err := v.snapshot.Visit(visitor); err != nil {
		return Scrub{}, fmt.Errorf("scrub the state: %w", err)
	}
	s.Hash = hash.Sum()
	sums.compare(s.complain)
	return s, nil
}

func (s *Scrub) complain(format string, args ...any) {
	if len(s.Problems) < maxScrubProblems {
		s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
	}
}
