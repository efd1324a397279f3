package storage

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// join has all rows in b.pebble. Two writes to one row are in the same part, in their
// order, so that the parts may come in any: the largest isn't copied.
func (b *Batch) join() error {
	for i, part := range b.parts {
		if part != nil && part.Len() > b.pebble.Len() {
			b.pebble, b.parts[i] = part, b.pebble
		}
	}
	for _, part := range b.parts {
		if part == nil {
			continue
		}
		if err := b.pebble.Apply(part, nil); err != nil {
			return err
		}
	}
	return nil
}

// Commit makes the batch visible at once and whole. It returns before the batch
// is on disk: see DB.Flush. It may be called once.
func (b *Batch) Commit() error {
	return b.commit(func(commit func() error) error { return commit() })
}

// commit has within do what commits to Pebble, so that tests can look around it.
func (b *Batch) commit(within func(commit func() error) error) error {
	b.db.table.mu.Lock()
	defer b.db.table.mu.Unlock()
	writes, err := b.follow()
	if err == nil {
		err = b.join()
	}
	if err == nil {
		err = b.db.cache.during(writes, func() error {
			return within(func() error { return b.pebble.Commit(pebble.NoSync) })
		})
	}
	if err != nil {
		b.db.table.forget()
		return fmt.Errorf("commit storage batch: %w", corruption(err))
	}
	return nil
}

// follow has the table do what the batch does to fingerprints, and its filter know of the
// requests, and returns what the batch does to rows that may be in the cache. Those are in
// its memory until Close. Nothing of either is among contents and changes.
func (b *Batch) follow() (writes rowWrites, err error) {
	if fingerprints := b.parts[0]; fingerprints != nil {
		if err := b.db.table.follow(fingerprints.Reader()); err != nil {
			return writes, err
		}
	}
	writes.each = make([]rowWrite, 0, b.pebble.Count())
	for r := b.pebble.Reader(); ; {
		op, key, value, ok, err := r.Next()
		if err != nil || !ok {
			return writes, err
		}
		if op == pebble.InternalKeyKindSet && key[0] == byte(kindRequest) {
			b.db.table.filters.add(key, b.db.table.filters.hash(key))
		}
		writes.add(op, key, value)
	}
}
