package storage

import "math"

// After a start the table of fingerprints is empty, and each record that is named for the first
// time would be looked for in Pebble. The scan that makes the filter of fingerprints reads all
// of them anyhow, and has the table know as many as it has room for.

// unpackable fits into no slot.
var unpackable = Fingerprint{Size: math.MaxUint32}

// scannedRows are rows that were read for a filter.
type scannedRows struct {
	fingerprints bool // are their kind
	hashes       []uint64
	keys         []byte // one after another
	ends         []int
	values       []Fingerprint
	tags         [chunkRows]tag // line 0: isn't to be known
}

func (s *scannedRows) len() int { return len(s.hashes) }

func (s *scannedRows) clear() {
	s.hashes, s.keys, s.ends, s.values = s.hashes[:0], s.keys[:0], s.ends[:0], s.values[:0]
}

// add takes up a row whose key and value are of an iterator. A value that is no fingerprint is
// met by whoever looks for it: here it is one that fits into no slot.
func (s *scannedRows) add(key, value []byte, to *fingerprintFilter) {
	s.hashes = append(s.hashes, to.hash(key))
	if !s.fingerprints {
		return
	}
	f, err := decodeFingerprint(key, value)
	if err != nil {
		f = unpackable
	}
	s.keys = append(s.keys, key...)
	s.ends = append(s.ends, len(s.keys))
	s.values = append(s.values, f)
}

func (s *scannedRows) key(i int) []byte {
	if i == 0 {
		return s.keys[:s.ends[0]]
	}
	return s.keys[s.ends[i-1]:s.ends[i]]
}

// takeUpScanned adds rows, of which so many came before, to the filter that is being made. What
// it has by then was written since the scan began, or is gone: the table knows that already.
func (t *fingerprintTable) takeUpScanned(rows *scannedRows, to *fingerprintFilter, before int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if rows.fingerprints && t.filters.warms && before < len(t.memory)/bucketBytes*slotsPerBucket {
		for from := 0; from < rows.len(); from += chunkRows {
			t.warm(rows, to, from, min(from+chunkRows, rows.len()))
		}
	}
	for _, hash := range rows.hashes {
		to.add(hash)
	}
}

// warm has the table know those rows of a chunk, at most chunkRows, that are as they were read.
func (t *fingerprintTable) warm(rows *scannedRows, to *fingerprintFilter, from, end int) {
	tags := rows.tags[:end-from]
	for i := range tags {
		tags[i] = tag{}
		if !to.mayHave(rows.hashes[from+i]) {
			tags[i] = t.tag(rows.key(from + i))
			t.touch(tags[i])
		}
	}
	for i := range tags {
		if tags[i].line != 0 {
			t.offer(tags[i], &rows.values[from+i])
		}
	}
}
