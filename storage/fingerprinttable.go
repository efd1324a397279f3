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

// A bucket has the first halves of its tags on a cache line of their own, so that a look
// for what isn't there touches no other. Slots are filled one after the other, and again
// from the first: the one that goes is the oldest.
//
//	+----------------+---------+----------+---------------------------------------+---------+
//	| 8 x 8 of a tag | next u8 | 7 unused | 8 x ( 8 of a tag, length u8, 43 of a   | 24      |
//	| 0: empty       |         |          |       value )                          | unused  |
//	+----------------+---------+----------+---------------------------------------+---------+
const (
	tagBytes        = 16
	tagHalf         = tagBytes / 2
	slotsPerBucket  = 8
	bucketNext      = slotsPerBucket * tagHalf
	bucketSlots     = bucketNext + 8
	slotValue       = tagHalf + 1
	slotBytes       = slotValue + fingerprintMaxBytes
	bucketBytes     = 512
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
	binary.LittleEndian.PutUint64(g[:], max(low, 1)) // 0 is an empty slot's
	binary.LittleEndian.PutUint64(g[8:], high)
	return g
}

func (t *fingerprintTable) bucket(g tag) []byte {
	buckets := uint64(len(t.memory) / bucketBytes)
	i := binary.LittleEndian.Uint64(g[tagHalf:]) % buckets * bucketBytes
	return t.memory[i : i+bucketBytes]
}

// find returns the number of the row's slot in the bucket, or -1.
func (g tag) find(bucket []byte) int {
	half := binary.LittleEndian.Uint64(g[:])
	for i := range slotsPerBucket {
		if binary.LittleEndian.Uint64(bucket[i*tagHalf:]) == half && [tagHalf]byte(slotOf(bucket, i)) == [tagHalf]byte(g[tagHalf:]) {
			return i
		}
	}
	return -1
}

func slotOf(bucket []byte, i int) []byte { return bucket[bucketSlots+i*slotBytes:][:slotBytes] }

// get returns the row's value, which holds until the next put; nil: not known.
func (t *fingerprintTable) get(g tag) []byte {
	bucket := t.bucket(g)
	i := g.find(bucket)
	if i < 0 {
		return nil
	}
	slot := slotOf(bucket, i)
	return slot[slotValue:][:slot[tagHalf]]
}

// put remembers a value. Where the bucket is full, its oldest slot goes.
func (t *fingerprintTable) put(g tag, value []byte) {
	bucket := t.bucket(g)
	i := g.find(bucket)
	if i < 0 {
		i = int(bucket[bucketNext])
		bucket[bucketNext] = byte((i + 1) % slotsPerBucket)
		copy(bucket[i*tagHalf:], g[:tagHalf])
		copy(slotOf(bucket, i), g[tagHalf:])
	}
	slot := slotOf(bucket, i)
	slot[tagHalf] = byte(len(value))
	copy(slot[slotValue:], value)
}

func (t *fingerprintTable) remove(g tag) {
	bucket := t.bucket(g)
	if i := g.find(bucket); i >= 0 {
		clear(bucket[i*tagHalf:][:tagHalf])
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
