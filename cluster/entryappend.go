package cluster

import (
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

const (
	// unsplitKeys or fewer are never split between leaves by bbolt (MinKeysPerPage, twice).
	unsplitKeys = 4
	// An entry of at least separatedBytes, as it is stored, is followed by separators.
	separatedBytes = 16 << 10
	separators     = unsplitKeys
	indexBytes     = 8 // an entry's key has; a separator's has one more

	// The memory that entries are encoded in is kept for the next append up to so many bytes.
	keptEncodingBytes = 2 << 20
	// entryOverheadBytes has an entry beside its data and extensions, as it is stored, at most.
	entryOverheadBytes = 128
)

// append is raft-boltdb's StoreLogs, but for how often an entry is written. bbolt writes the
// leaf that it appends to anew, and splits none of four keys or fewer, however large their
// values are: of entries larger than a page it would write four or five for each that is
// appended. So a large entry is followed by separators: keys without values, which begin
// with its index, so that whoever reads the first or last index, or deletes a range, takes
// them for the entry. They let bbolt have a leaf end behind the entry, and begin the next
// append with a leaf that has nothing but some of them.
//
// One call comes after the other.
func (p *mappedPages) append(entries []*raft.Log) error {
	memory := p.encodingMemory(entries)
	err := p.update(func(tx *bbolt.Tx) error {
		bucket := logBucket(tx)
		encoder := codec.NewEncoderBytes(nil, entryFormat)
		for _, e := range entries {
			stored := memory[:0:encodedBytes(e)]
			memory = memory[cap(stored):]
			encoder.ResetBytes(&stored)
			if err := encoder.Encode(e); err != nil {
				return err
			}
			if err := put(bucket, e.Index, stored); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// The last leaf, which was read, has no more than so many entries without separators.
	return p.touch(aroundBytes + unsplitKeys*separatedBytes)
}

// encodingMemory is what entries are encoded in. bbolt reads it until they are committed.
func (p *mappedPages) encodingMemory(entries []*raft.Log) []byte {
	n := 0
	for _, e := range entries {
		n += encodedBytes(e)
	}
	if n > keptEncodingBytes {
		return make([]byte, n)
	}
	if n > len(p.encoding) {
		p.encoding = make([]byte, n)
	}
	return p.encoding
}

// encodedBytes is no less than an entry has as it is stored.
func encodedBytes(e *raft.Log) int { return int(entryBytes(e)) + entryOverheadBytes }

// put puts a stored entry and what separates it from the next.
func put(bucket *bbolt.Bucket, index uint64, stored []byte) error {
	key := entryKey(index)
	if err := bucket.Put(key, stored); err != nil || len(stored) < separatedBytes {
		return err
	}
	for i := range separators {
		if err := bucket.Put(append(key, byte(i)), nil); err != nil {
			return err
		}
	}
	return nil
}
