package storage

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math/bits"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
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
	ahead   [chunkRows]followed // what is being followed; used again
	touched byte                // of no use but to have read it
}

// chunkRows are hashed, then touched, then taken up or looked for: what is in no cache of
// the processor is waited for once for many of them instead of once for each.
const chunkRows = 64

// followed is a write to a fingerprint.
type followed struct {
	tag
	key, value []byte
	hash       uint64 // of the filter
	puts       bool
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
	i, _ := bits.Mul64(binary.LittleEndian.Uint64(g[tagHalf:]), uint64(len(t.memory)/bucketBytes))
	return t.memory[i*bucketBytes:][:bucketBytes]
}

// touch reads what a look for the row begins with.
func (t *fingerprintTable) touch(g tag) { t.touched ^= t.bucket(g)[0] }

// touchSlot reads what a put of the row is likely to need.
func (t *fingerprintTable) touchSlot(g tag) {
	bucket := t.bucket(g)
	slot := slotOf(bucket, int(bucket[bucketNext]))
	t.touched ^= bucket[0] ^ slot[0] ^ slot[slotBytes-1]
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

// follow does what the operations of a batch do to fingerprints; mu is held.
func (t *fingerprintTable) follow(ops batchrepr.Reader) error {
	n := 0
	for {
		op, key, value, ok, err := ops.Next()
		if err != nil || !ok {
			t.takeUp(t.ahead[:n])
			return err
		}
		switch {
		case op == pebble.InternalKeyKindRangeDelete:
			t.takeUp(t.ahead[:n]) // of which there may be rows that go
			n = 0
			t.dropRange(key, value)
			continue
		case key[0] != byte(kindFingerprint):
			continue
		case op != pebble.InternalKeyKindSet && op != pebble.InternalKeyKindDelete:
			return errors.New("a batch does to fingerprints what their table doesn't know")
		}
		t.ahead[n] = followed{tag: t.tag(key), key: key, value: value, hash: t.filters.hash(key), puts: op == pebble.InternalKeyKindSet}
		if n++; n == chunkRows {
			t.takeUp(t.ahead[:])
			n = 0
		}
	}
}

// takeUp does what was written to rows, in order.
func (t *fingerprintTable) takeUp(rows []followed) {
	for i := range rows {
		t.touchSlot(rows[i].tag)
		t.touched ^= t.filters.touch(rows[i].hash)
	}
	for i := range rows {
		switch row := &rows[i]; {
		case row.puts:
			t.put(row.tag, row.value)
			t.filters.add(row.key, row.hash)
		case !planted.Is(planted.StaleTable):
			t.remove(row.tag)
		}
	}
	clear(rows) // they are in a batch's memory
}
