package storage

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"
)

// Request of a DB isn't looked for where the filter says that there is none: it is another
// for each sync.
func (db *DB) Request(id RequestID) (Request, bool, error) {
	key := appendRequestKey(nil, id)
	db.table.mu.Lock()
	may := db.table.filters.mayHave(db.table.filters.hash(key))
	db.table.mu.Unlock()
	if !may {
		return Request{}, false, nil
	}
	return db.rows.Request(id)
}

// lookup finds the fingerprints of one generation by ascending ids.
//
// A refresh names most ids of its namespace, a load ids beyond its end: then the
// row is where the iterator stands, or one step on, and a step costs a tenth of
// a seek. An update of a large namespace names ids far apart: then steps are
// wasted, and the bloom filters, which only seeks for one key use, spare most
// of the blocks. So lookup begins with steps, and gives up on them after
// stepsWastedMax that ended before the key.
type lookup struct {
	rows    rows
	table   *fingerprintTable // nil: none; its mu is held
	key     []byte            // looked for
	prefix  int               // bytes of key before the id
	it      *pebble.Iterator  // nil before the first id that isn't in the table
	started bool
	wasted  int
	ahead   [chunkRows]aheadID // of the ids that prepare was given
	next    int                // of ahead
}

// aheadID is what a table says of an id before the look into it.
type aheadID struct {
	hash uint64
	tag  tag
	may  bool // false: there is no such row
}

const stepsWastedMax = 16

// newLookup is a lookup in the generation whose keys begin with prefix.
func newLookup(rs rows, prefix []byte, table *fingerprintTable) lookup {
	return lookup{rows: rs, table: table, key: bytes.Clone(prefix), prefix: len(prefix)}
}

// at gives the fingerprint of the id, which must be greater than those before, and, with a
// table, the next of those that prepare was given.
func (l *lookup) at(id string) (f Fingerprint, found bool, err error) {
	l.key = append(l.key[:l.prefix], id...)
	if l.table == nil {
		return l.read()
	}
	next := &l.ahead[l.next]
	l.next++
	if !next.may {
		return Fingerprint{}, false, nil
	}
	if f, known := l.table.get(next.tag); known {
		return f, true, nil
	}
	if f, found, err = l.read(); found {
		l.table.put(next.tag, &f)
	}
	return f, found, err
}

// prepare is told the ids that come next, at most chunkRows. It is for those who have a
// table.
func (l *lookup) prepare(ids []string) {
	t := l.table
	t.filters.want()
	l.next = 0
	for i, id := range ids {
		l.key = append(l.key[:l.prefix], id...)
		l.ahead[i] = aheadID{hash: t.filters.hash(l.key)}
	}
	for i := range ids {
		t.touched ^= t.filters.touch(l.ahead[i].hash)
	}
	for i, id := range ids {
		a := &l.ahead[i]
		if a.may = t.filters.mayHave(a.hash); a.may {
			l.key = append(l.key[:l.prefix], id...)
			a.tag = t.tag(l.key)
		}
	}
	for i := range ids {
		if l.ahead[i].may {
			t.touch(l.ahead[i].tag)
		}
	}
	for i := range ids {
		if l.ahead[i].may {
			t.touchSlot(l.ahead[i].tag)
		}
	}
}

// read is at, from the database.
func (l *lookup) read() (f Fingerprint, found bool, err error) {
	value, err := l.value()
	if err != nil {
		return f, false, readError(l.key, err)
	}
	if value == nil {
		return f, false, nil
	}
	f, err = decodeFingerprint(l.key, value)
	return f, err == nil, err
}

// value is that of the row at l.key, or nil.
func (l *lookup) value() (value []byte, err error) {
	if l.it == nil {
		prefix := l.key[:l.prefix]
		l.it, err = l.rows.src.NewIter(&pebble.IterOptions{
			LowerBound: bytes.Clone(prefix),
			UpperBound: appendPrefixEnd(nil, prefix),
			// With a table, the filter in memory has said that there is such a row, and the last
			// level has most rows.
			UseL6Filters: l.table == nil,
		})
		if err != nil {
			return nil, err
		}
	}
	if !l.find() {
		// What isn't found may be what couldn't be read.
		return nil, l.it.Error()
	}
	return l.it.ValueAndErr()
}

func (l *lookup) close(err *error) {
	if l.it != nil {
		closeIter(l.it, l.key[:l.prefix], err)
	}
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
