package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

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

// Hash is the SHA-256 of every key and value of the database, in the order of
// Raw, each of them preceded by its length. Two databases have the same hash if
// and only if they have the same rows, byte for byte: how the rows are spread
// over files and memory, and what was deleted, doesn't matter.
func (rs rows) Hash() (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	var lengths [8]byte
	err = rs.Raw(func(key, value []byte) error {
		binary.BigEndian.PutUint32(lengths[:], uint32(len(key)))
		binary.BigEndian.PutUint32(lengths[4:], uint32(len(value)))
		h.Write(lengths[:])
		h.Write(key)
		h.Write(value)
		return nil
	})
	h.Sum(sum[:0])
	return sum, err
}
