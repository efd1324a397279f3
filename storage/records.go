package storage

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// errNoFingerprint breaks the rule that content never stands alone.
var errNoFingerprint = fmt.Errorf("missing beside its content: %w", ErrCorrupt)

func (rs rows) Fingerprints(store StoreNum, ns NamespaceNum, gen Generation, ids []string,
	visit func(i int, f Fingerprint, found bool) error,
) error {
	return rs.fingerprints(appendRecordKey(nil, kindFingerprint, store, ns, gen, ""), nil, ids, visit)
}

// Fingerprints of a DB come from its table, where they are in it. Meanwhile nobody
// commits: visit must not.
func (db *DB) Fingerprints(store StoreNum, ns NamespaceNum, gen Generation, ids []string,
	visit func(i int, f Fingerprint, found bool) error,
) error {
	db.table.mu.Lock()
	defer db.table.mu.Unlock()
	return db.rows.fingerprints(appendRecordKey(nil, kindFingerprint, store, ns, gen, ""), db.table, ids, visit)
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

// Record looks for the content first: only a live record has one. What is found in an upper
// level isn't looked for below it, so that two looks cost less than an iterator over all
// levels.
func (rs rows) Record(store StoreNum, ns NamespaceNum, gen Generation, id string) (f Fingerprint, c Content, found bool, err error) {
	c, found, err = get[Content](rs, appendRecordKey(nil, kindContent, store, ns, gen, id))
	if err != nil || !found {
		return Fingerprint{}, Content{}, false, err
	}
	key := appendRecordKey(nil, kindFingerprint, store, ns, gen, id)
	f, found, err = get[Fingerprint](rs, key)
	if err == nil && !found {
		err = readError(key, errNoFingerprint)
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
	contents, err := rs.prefixIter(appendRecordKey(nil, kindContent, store, ns, gen, ""), after)
	if err != nil {
		return err
	}
	prefix := appendRecordKey(nil, kindFingerprint, store, ns, gen, "")
	defer closeIter(contents, prefix, &err)
	fingerprints := newLookup(rs, prefix, nil)
	// A clone, so that both read the same moment.
	fingerprints.it, err = contents.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{
		LowerBound: prefix,
		UpperBound: appendPrefixEnd(nil, prefix),
	}})
	if err != nil {
		return readError(prefix, err)
	}
	defer fingerprints.close(&err)
	for ok := contents.First(); ok && limit > 0; ok, limit = contents.Next(), limit-1 {
		value, err := contents.ValueAndErr()
		if err != nil {
			return readError(contents.Key(), err)
		}
		var c Content
		if err := decodeRow(contents.Key(), value, &c); err != nil {
			return err
		}
		id := string(contents.Key()[len(prefix):])
		f, found, err := fingerprints.at(id)
		if err == nil && !found {
			err = readError(prefix, errNoFingerprint)
		}
		if err != nil {
			return err
		}
		if err := visit(id, f, c); err != nil {
			return err
		}
	}
	return nil
}
