package fsm

import (
	"cmp"
	"fmt"
	"slices"

	"pipesync/storage"
)

// Scrub is what a look at every row of a state has found.
type Scrub struct {
	Index uint64   // of the last entry in the state
	Hash  [32]byte // of all rows: nodes that have the same at an index have equal states
	Rows  uint64
	Bytes uint64 // of keys and values
	// Problems are contradictions between rows, in words without anybody's data;
	// there are no more than maxScrubProblems of them.
	Problems []string
}

const maxScrubProblems = 10

// tally is what the rows of a namespace's live generation add up to, and what
// its row says.
type tally struct {
	row                       storage.Namespace
	live, tombstones, content uint64
	digest                    digestSum
}

type namespaceID struct {
	store storage.StoreNum
	ns    storage.NamespaceNum
}

// Scrub reads all rows, hashes them, and adds up count and digest of each
// namespace from its records. pace is told the size of each row, and may wait; an
// error of it ends the scrub. It holds some 200 bytes for each namespace.
func (v *View) Scrub(pace func(bytes int) error) (Scrub, error) {
	s := Scrub{Index: v.Applied()}
	hash := storage.NewRowHash()
	tallies := map[namespaceID]*tally{}
	live := func(store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation) *tally {
		if t := tallies[namespaceID{store, ns}]; t != nil && t.row.Live == gen {
			return t
		}
		return &tally{} // of a generation that is none any more, or not yet
	}
	err := v.snapshot.Visit(storage.Visitor{
		Any: func(key, value []byte) error {
			hash.Add(key, value)
			s.Rows++
			s.Bytes += uint64(len(key) + len(value))
			return pace(len(key) + len(value))
		},
		Namespace: func(store storage.StoreNum, n storage.Namespace) error {
			tallies[namespaceID{store, n.Num}] = &tally{row: n}
			return nil
		},
		Fingerprint: func(store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation, id string, f storage.Fingerprint) error {
			t := live(store, ns, gen)
			if f.Tombstone {
				t.tombstones++
				return nil
			}
			t.live++
			t.digest.add(id, f.Hash)
			return nil
		},
		Content: func(store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation) error {
			live(store, ns, gen).content++
			return nil
		},
	})
	if err != nil {
		return Scrub{}, fmt.Errorf("scrub the state: %w", err)
	}
	s.Hash = hash.Sum()
	ids := make([]namespaceID, 0, len(tallies))
	for id := range tallies {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b namespaceID) int {
		return cmp.Or(cmp.Compare(a.store, b.store), cmp.Compare(a.ns, b.ns))
	})
	for _, id := range ids {
		s.compare(id, tallies[id])
	}
	return s, nil
}

func (s *Scrub) compare(id namespaceID, t *tally) {
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"live fingerprints", t.live, t.row.Count},
		{"contents", t.content, t.row.Count},
		{"tombstones", t.tombstones, t.row.Tombstones},
	} {
		if c.got != c.want {
			s.complain("namespace %d of store %d has %d %s, and should have %d", id.ns, id.store, c.got, c.what, c.want)
		}
	}
	if got := t.digest.digest(); got != t.row.Digest {
		s.complain("namespace %d of store %d has the digest %x, and should have %x", id.ns, id.store, got, t.row.Digest)
	}
}

func (s *Scrub) complain(format string, args ...any) {
	if len(s.Problems) < maxScrubProblems {
		s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
	}
}
