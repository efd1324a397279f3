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

// Visitor is given rows. Each function must be there.
type Visitor struct {
	// Any is given every row, as Raw gives it, before any other function is.
	Any func(key, value []byte) error
	// Unreadable is told of a row whose key, or whose value where it is of a kind
	// below, can't be decoded. The error matches ErrCorrupt, and doesn't say whose it is.
	Unreadable func(err error)

	Org         func(name string, o Org)
	DeletedOrg  func(org OrgNum)
	Store       func(org OrgNum, name string, s Store)
	Usage       func(org OrgNum, store StoreNum, u Usage)
	Namespace   func(store StoreNum, name string, n Namespace)
	Fingerprint func(store StoreNum, ns NamespaceNum, gen Generation, id string, f Fingerprint)
	// Content is told the size of the record but for its id: the bytes of its fields.
	Content func(store StoreNum, ns NamespaceNum, gen Generation, size uint64)
}

// Visit visits every row of the database in the order of Raw: a store's namespaces
// come before all fingerprints, and those before all contents. It fails where
// reading does, or Any.
func (rs rows) Visit(v Visitor) error {
	return rs.Raw(func(key, value []byte) error {
		if err := v.Any(key, value); err != nil {
			return err
		}
		if err := v.visit(key, value); err != nil {
			v.Unreadable(err)
		}
		return nil
	})
}

func (v *Visitor) visit(key, value []byte) error {
	k, err := parseKey(key)
	if err != nil {
		return err
	}
	switch k.kind {
	case kindOrg:
		return visitRow(key, value, func(o Org) { v.Org(k.name, o) })
	case kindDeletedOrg:
		return visitRow(key, value, func(empty) { v.DeletedOrg(k.org) })
	case kindStore:
		return visitRow(key, value, func(s Store) { v.Store(k.org, k.name, s) })
	case kindUsage:
		return visitRow(key, value, func(u Usage) { v.Usage(k.org, k.store, u) })
	case kindNamespace:
		return visitRow(key, value, func(n Namespace) { v.Namespace(k.store, k.name, n) })
	case kindFingerprint:
		return visitRow(key, value, func(f Fingerprint) { v.Fingerprint(k.store, k.ns, k.gen, k.name, f) })
	case kindContent:
		return visitRow(key, value, func(c Content) { v.Content(k.store, k.ns, k.gen, c.size()) })
	}
	return nil
}

func visitRow[T any, P decodable[T]](key, value []byte, visit func(T)) error {
	var row T
	err := decodeRow(key, value, P(&row))
	if err == nil {
		visit(row)
	}
	return err
}

// size is the bytes of the fields.
func (c *Content) size() uint64 {
	return uint64(len(c.Data) + len(c.File) + len(c.SourceSystem) + len(c.CreatedAt) + len(c.UpdatedAt))
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
