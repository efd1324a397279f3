package storage

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"
)

// lookup finds the fingerprints of one generation by ascending ids.
//
// A refresh names most ids of its namespace, a load ids beyond its end: then the
// row is where the iterator stands, or one step on, and a step costs a tenth of
// a seek. An update of a large namespace names ids far apart: then steps are
// wasted, and the bloom filters, which only seeks for one key use, spare most
// of the blocks. So lookup begins with steps, and gives up on them after
// stepsWastedMax that ended before the key.
type lookup struct {
	it      *pebble.Iterator
	key     []byte // looked for
	prefix  int    // bytes of key before the id
	started bool
	wasted  int
}

const stepsWastedMax = 16

// newLookup takes over the iterator, whose bounds are the generation's.
func newLookup(it *pebble.Iterator, prefix []byte) lookup {
	return lookup{it: it, key: bytes.Clone(prefix), prefix: len(prefix)}
}

// at gives the fingerprint of the id, which must be greater than those before.
func (l *lookup) at(id string) (f Fingerprint, found bool, err error) {
	l.key = append(l.key[:l.prefix], id...)
	found = l.find()
	// What isn't found may be what couldn't be read.
	if err := l.it.Error(); err != nil {
		return Fingerprint{}, false, readError(l.key, err)
	}
	if !found {
		return Fingerprint{}, false, nil
	}
	value, err := l.it.ValueAndErr()
	if err != nil {
		return Fingerprint{}, false, readError(l.key, err)
	}
	r := reader{b: value, what: "value"}
	f.decode(&r)
	if err := r.done(); err != nil {
		return Fingerprint{}, false, readError(l.key, err)
	}
	return f, true, nil
}

// find moves the iterator to the row at l.key and tells whether there is one.
func (l *lookup) find() bool {
	if l.wasted >= stepsWastedMax {
		return l.it.SeekPrefixGE(l.key) && bytes.Equal(l.it.Key(), l.key)
	}
	if !l.started {
		l.started = true
		l.it.SeekGE(l.key)
	}
	// An iterator that is past the last row stays there.
	if l.it.Valid() && bytes.Compare(l.it.Key(), l.key) < 0 {
		l.it.Next()
	}
	if l.it.Valid() && bytes.Compare(l.it.Key(), l.key) < 0 {
		l.wasted++
		l.it.SeekGE(l.key)
	}
	return l.it.Valid() && bytes.Equal(l.it.Key(), l.key)
}
