package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/cockroachdb/pebble/v2"
)

// Raw visits every key and value of the database, whatever their kind, in
// ascending order of the keys' bytes. What visit is given is valid only during
// the call. An error of visit stops it and is returned.
func (rs rows) Raw(visit func(key, value []byte) error) (err error) {
	it, err := rs.src.NewIter(&pebble.IterOptions{})
	if err != nil {
		return fmt.Errorf("read all rows: %w", corruption(err))
	}
	defer closeIter(it, nil, &err)
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return readError(it.Key(), err)
		}
		if err := visit(it.Key(), value); err != nil {
			return err
		}
	}
	return nil
}

// Visitor is given rows, of the kinds that it has a function for.
type Visitor struct {
	// Any is given every row, as Raw gives it.
	Any         func(key, value []byte) error
	Namespace   func(store StoreNum, n Namespace) error
	Fingerprint func(store StoreNum, ns NamespaceNum, gen Generation, id string, f Fingerprint) error
	Content     func(store StoreNum, ns NamespaceNum, gen Generation) error
}

// Visit visits every row of the database in the order of Raw: a store's namespaces
// come before all fingerprints, and those before all contents. A key that can't be
// read, and a row of these kinds, is an error that matches ErrCorrupt.
func (rs rows) Visit(v Visitor) error {
	return rs.Raw(func(key, value []byte) error {
		if err := v.Any(key, value); err != nil {
			return err
		}
		k, err := parseKey(key)
		if err != nil {
			return err
		}
		switch k.kind {
		case kindNamespace:
			var n Namespace
			if err := decodeRow(key, value, &n); err != nil {
				return err
			}
			return v.Namespace(k.store, n)
		case kindFingerprint:
			var f Fingerprint
			if err := decodeRow(key, value, &f); err != nil {
				return err
			}
			return v.Fingerprint(k.store, k.ns, k.gen, k.name, f)
		case kindContent:
			return v.Content(k.store, k.ns, k.gen)
		}
		return nil
	})
}

// RowHash is the SHA-256 of rows, each key and value preceded by their lengths.
type RowHash struct {
	sha     hash.Hash
	lengths [8]byte
}

// NewRowHash returns the hash of no rows.
func NewRowHash() *RowHash { return &RowHash{sha: sha256.New()} }

// Add adds a row.
func (h *RowHash) Add(key, value []byte) {
	binary.BigEndian.PutUint32(h.lengths[:], uint32(len(key)))
	binary.BigEndian.PutUint32(h.lengths[4:], uint32(len(value)))
	h.sha.Write(h.lengths[:])
	h.sha.Write(key)
	h.sha.Write(value)
}

// Sum is the hash of what was added so far.
func (h *RowHash) Sum() (sum [sha256.Size]byte) {
	h.sha.Sum(sum[:0])
	return sum
}

// Hash is the RowHash of all rows of the database, in the order of Raw. Two
// databases have the same hash if and only if they have the same rows, byte for
// byte: how the rows are spread over files and memory, and what was deleted,
// doesn't matter.
func (rs rows) Hash() ([sha256.Size]byte, error) {
	h := NewRowHash()
	err := rs.Raw(func(key, value []byte) error {
		h.Add(key, value)
		return nil
	})
	return h.Sum(), err
}
