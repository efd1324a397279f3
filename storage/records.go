package storage

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// errNoContent breaks the rule that a live record has content.
var errNoContent = fmt.Errorf("missing beside its fingerprint: %w", ErrCorrupt)

func (rs rows) Fingerprints(store StoreNum, ns NamespaceNum, gen Generation, ids []string,
	visit func(i int, f Fingerprint, found bool) error,
) error {
	return rs.fingerprints(appendGenerationKey(nil, kindFingerprint, store, ns, gen), nil, ids, visit)
}

// Fingerprints of a DB come from its table, where they are in it. Meanwhile nobody
// commits: visit must not.
func (db *DB) Fingerprints(store StoreNum, ns NamespaceNum, gen Generation, ids []string,
	visit func(i int, f Fingerprint, found bool) error,
) error {
	db.table.mu.Lock()
	defer db.table.mu.Unlock()
	return db.rows.fingerprints(appendGenerationKey(nil, kindFingerprint, store, ns, gen), db.table, ids, visit)
}

func (rs rows) fingerprints(prefix []byte, table *fingerprintTable, ids []string,
	visit func(i int, f Fingerprint, found bool) error,
) (err error) {
	l := newLookup(rs, prefix, table)
	defer l.close(&err)
	for i, id := range ids {
		if i > 0 && id <= ids[i-1] {
			return fmt.Errorf("look up fingerprints: ids not ascending at %d", i)
		}
		if table != nil && i%chunkRows == 0 {
			l.prepare(ids[i:min(i+chunkRows, len(ids))])
		}
		f, found, err := l.at(id)
		if err != nil {
			return err
		}
		if err := visit(i, f, found); err != nil {
			return err
		}
	}
	return nil
}

// Record looks for two rows by their keys. What is found in an upper level isn't looked for
// below it, so that two looks cost less than an iterator over all levels.
func (rs rows) Record(store StoreNum, ns NamespaceNum, gen Generation, id string) (f Fingerprint, c Content, found bool, err error) {
	f, found, err = get[Fingerprint](rs, appendFingerprintKey(nil, store, ns, gen, id))
	if err != nil || !found || f.Tombstone {
		return Fingerprint{}, Content{}, false, err
	}
	key := appendContentKey(nil, store, ns, gen, f.Changed)
	c, found, err = get[Content](rs, key)
	if err == nil && !found {
		err = readError(key, errNoContent)
	}
	if err != nil {
		return Fingerprint{}, Content{}, false, err
	}
	return f, c, true, nil
}

// Record of a DB is of one moment, as a Snapshot's.
func (db *DB) Record(store StoreNum, ns NamespaceNum, gen Generation, id string) (f Fingerprint, c Content, found bool, err error) {
	s := db.Snapshot()
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Record(store, ns, gen, id)
}

func (rs rows) ScanRecords(store StoreNum, ns NamespaceNum, gen Generation, after string, limit int,
	visit func(id string, f Fingerprint, c Content) error,
) (err error) {
	fingerprints, err := rs.prefixIter(appendGenerationKey(nil, kindFingerprint, store, ns, gen), after)
	if err != nil {
		return err
	}
	defer closeIter(fingerprints, appendGenerationKey(nil, kindFingerprint, store, ns, gen), &err)
	contents, err := contentsBeside(fingerprints, store, ns, gen)
	if err != nil {
		return err
	}
	defer contents.close(&err)
	for ok := fingerprints.First(); ok && limit > 0; ok = fingerprints.Next() {
		value, err := fingerprints.ValueAndErr()
		if err != nil {
			return readError(fingerprints.Key(), err)
		}
		f, err := decodeFingerprint(fingerprints.Key(), value)
		if err != nil {
			return err
		}
		if f.Tombstone {
			continue
		}
		c, err := contents.at(f.Changed)
		if err != nil {
			return err
		}
		if err := visit(string(fingerprints.Key()[contents.prefix:]), f, c); err != nil {
			return err
		}
		limit--
	}
	return nil
}

func (rs rows) ContentSizes(store StoreNum, ns NamespaceNum, gen Generation, seqs []Seq,
	visit func(changed Seq, bytes uint64),
) (err error) {
	prefix := appendGenerationKey(nil, kindContent, store, ns, gen)
	it, err := rs.prefixIter(prefix, "")
	if err != nil {
		return err
	}
	c := newContents(it, prefix)
	defer c.close(&err)
	for _, seq := range seqs {
		content, found, err := c.find(seq)
		if err != nil {
			return err
		}
		if found {
			visit(seq, content.size())
		}
	}
	return nil
}

// contents finds those of one generation. Where ids ascend as records were written, so do
// their contents, and the next is a step away, which costs a tenth of a seek.
type contents struct {
	it     *pebble.Iterator
	key    []byte // looked for
	prefix int    // bytes of key before the seq
	wasted int    // steps that led elsewhere
}

// contentsBeside reads the same moment as an iterator over the fingerprints.
func contentsBeside(fingerprints *pebble.Iterator, store StoreNum, ns NamespaceNum, gen Generation) (*contents, error) {
	prefix := appendGenerationKey(nil, kindContent, store, ns, gen)
	it, err := fingerprints.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{
		LowerBound: prefix,
		UpperBound: appendPrefixEnd(nil, prefix),
	}})
	if err != nil {
		return nil, readError(prefix, err)
	}
	return newContents(it, prefix), nil
}

// newContents takes an iterator over the rows that begin with prefix.
func newContents(it *pebble.Iterator, prefix []byte) *contents {
	return &contents{it: it, key: bytes.Clone(prefix), prefix: len(prefix)}
}

// at is the content that a record has.
func (c *contents) at(changed Seq) (Content, error) {
	content, found, err := c.find(changed)
	if err == nil && !found {
		err = readError(c.key, errNoContent)
	}
	return content, err
}

func (c *contents) find(changed Seq) (content Content, found bool, err error) {
	c.key = appendSeq(c.key[:c.prefix], changed)
	if !c.move() {
		if err := c.it.Error(); err != nil { // what isn't found may be what couldn't be read
			return content, false, readError(c.key, err)
		}
		return content, false, nil
	}
	value, err := c.it.ValueAndErr()
	if err != nil {
		return content, false, readError(c.key, err)
	}
	err = decodeRow(c.key, value, &content)
	return content, err == nil, err
}

// move moves the iterator to the row at c.key and tells whether there is one.
func (c *contents) move() bool {
	if c.wasted < stepsWastedMax && c.it.Valid() {
		if c.it.Next() && bytes.Equal(c.it.Key(), c.key) {
			return true
		}
		c.wasted++
	}
	return c.it.SeekGE(c.key) && bytes.Equal(c.it.Key(), c.key)
}

func (c *contents) close(err *error) { closeIter(c.it, c.key[:c.prefix], err) }
