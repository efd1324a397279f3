package storage

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/dchest/siphash"

	"pipesync/internal/planted"
)

// A slot is a fingerprint under the tag of its key. A bucket's slots are in the
// order in which they were filled, the newest first.
//
//	+--------+-----------+--------------+
//	| tag 16 | length u8 | value, of 43 |   length 0: empty
//	+--------+-----------+--------------+
const (
	tagBytes        = 16
	slotValue       = tagBytes + 1
	slotBytes       = slotValue + fingerprintMaxBytes
	slotsPerBucket  = 8
	bucketBytes     = slotBytes * slotsPerBucket
	generationBytes = 13 // of a fingerprint's key, before the id
	// droppedMax bounds the generations of which it is known that rows are gone.
	droppedMax = 1024
)

type tag [tagBytes]byte

// fingerprintTable has the fingerprints that were written or read last, in memory of
// a fixed size outside of Go's heap. It is never behind the database: whoever commits
// a batch holds mu until both have all of it, and so does whoever looks up ids.
//
// A row's tag are the 128 bits of SipHash-2-4 (Aumasson, Bernstein, 2012) over its key,
// with a secret of this table: that two rows have the same is as unlikely as that two
// contents have the same hash, and nobody can search for such a pair.
type fingerprintTable struct {
	mu      sync.Mutex
	memory  []byte // of whole buckets
	secret  [2]uint64
	dropped map[[generationBytes]byte]uint32 // how often a range of a generation's rows was
	hashed  []byte                           // used again for the next tag
	filters filters
}

func newFingerprintTable(size, filterSize int64) (*fingerprintTable, error) {
	size = max(size/bucketBytes, 1) * bucketBytes
	memory, err := mapMemory(size)
	if err != nil {
		return nil, err
	}
	t := &fingerprintTable{memory: memory, filters: filters{size: filterSize, due: make(chan struct{}, 1)}}
	t.forget()
	return t, nil
}

func (t *fingerprintTable) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	memory := t.memory
	t.memory = nil
	return errors.Join(unmapMemory(memory), t.filters.close())
}

// forget makes all tags others than they were.
func (t *fingerprintTable) forget() {
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails
	t.secret = [2]uint64{binary.LittleEndian.Uint64(secret[:]), binary.LittleEndian.Uint64(secret[8:])}
	t.dropped = map[[generationBytes]byte]uint32{}
}

// tag names the row with this key; so do the calls of the other methods.
func (t *fingerprintTable) tag(key []byte) (g tag) {
	t.hashed = binary.BigEndian.AppendUint32(t.hashed[:0], t.dropped[[generationBytes]byte(key)])
	t.hashed = append(t.hashed, key...)
	low, high := siphash.Hash128(t.secret[0], t.secret[1], t.hashed)
	binary.LittleEndian.PutUint64(g[:], low)
	binary.LittleEndian.PutUint64(g[8:], high)
	return g
}

func (t *fingerprintTable) bucket(g tag) []byte {
	buckets := uint64(len(t.memory) / bucketBytes)
	i := binary.LittleEndian.Uint64(g[:]) % buckets * bucketBytes
	return t.memory[i : i+bucketBytes]
}

// find returns the row's slot in the bucket, or nil.
func (g tag) find(bucket []byte) []byte {
	for ; len(bucket) > 0; bucket = bucket[slotBytes:] {
		if bucket[tagBytes] != 0 && tag(bucket) == g {
			return bucket[:slotBytes]
		}
	}
	return nil
}

// get returns the row's value, which holds until the next put; nil: not known.
func (t *fingerprintTable) get(g tag) []byte {
	slot := g.find(t.bucket(g))
	if slot == nil {
		return nil
	}
	return slot[slotValue:][:slot[tagBytes]]
}

// put remembers a value. Where the bucket is full, its oldest slot goes.
func (t *fingerprintTable) put(g tag, value []byte) {
	bucket := t.bucket(g)
	slot := g.find(bucket)
	if slot == nil {
		end := slotBytes
		for end < bucketBytes && bucket[end-slotBytes+tagBytes] != 0 {
			end += slotBytes
		}
		copy(bucket[slotBytes:end], bucket)
		slot = bucket[:slotBytes]
	}
	copy(slot, g[:])
	slot[tagBytes] = byte(len(value))
	copy(slot[slotValue:], value)
}

func (t *fingerprintTable) remove(g tag) {
	if slot := g.find(t.bucket(g)); slot != nil {
		slot[tagBytes] = 0
	}
}

// dropRange forgets the rows from start up to, but without, end.
func (t *fingerprintTable) dropRange(start, end []byte) {
	if start[0] > byte(kindFingerprint) || bytes.Compare(end, []byte{byte(kindFingerprint)}) <= 0 {
		return
	}
	oneGeneration := len(start) >= generationBytes && start[0] == byte(kindFingerprint) &&
		bytes.Compare(end, appendPrefixEnd(nil, start[:generationBytes])) <= 0
	if !oneGeneration || len(t.dropped) == droppedMax {
		t.forget()
		return
	}
	t.dropped[[generationBytes]byte(start)]++
}

// follow does what a batch does to fingerprints; mu is held.
func (t *fingerprintTable) follow(op pebble.InternalKeyKind, key, value []byte) error {
	switch {
	case op == pebble.InternalKeyKindRangeDelete:
		t.dropRange(key, value)
	case key[0] != byte(kindFingerprint):
	case op == pebble.InternalKeyKindSet:
		t.put(t.tag(key), value)
		t.filters.add(key)
	case op == pebble.InternalKeyKindDelete && planted.Is(planted.StaleTable):
	case op == pebble.InternalKeyKindDelete:
		t.remove(t.tag(key))
	default:
		return errors.New("a batch does to fingerprints what their table doesn't know")
	}
	return nil
}
