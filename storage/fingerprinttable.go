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

// A bucket has a part of each of its tags on a cache line of their own, so that a look
// for what isn't there touches no other. A row has two buckets in which it may be: it is
// put where there is room, and where there is none the oldest slot of the first goes.
//
//	+--------------------+---------+---------------------------------------------+----------+
//	| 12 x 4 of a tag    | next u8 | 12 x ( 5 of a tag, value 33: see pack )     | 7 unused |
//	| 0: empty           |         |                                             |          |
//	+--------------------+---------+---------------------------------------------+----------+
const (
	slotsPerBucket  = 12
	lineBytes       = 4
	bucketNext      = slotsPerBucket * lineBytes
	bucketSlots     = bucketNext + 1
	restBytes       = 5
	slotBytes       = restBytes + packedBytes
	bucketBytes     = 512
	generationBytes = 13 // of a fingerprint's key, before the id
	// droppedMax bounds the generations of which it is known that rows are gone.
	droppedMax = 1024
)

// tag is of one row: where it may be, and by what it is known there.
type tag struct {
	line          uint32 // never 0
	rest          uint64 // of restBytes
	first, second uint32 // buckets
}

// fingerprintTable has the fingerprints that were written or read last, in memory of
// a fixed size outside of Go's heap. It is never behind the database: whoever commits
// a batch holds mu until both have all of it, and so does whoever looks up ids.
//
// A row's tag are 72 bits of SipHash-2-4 (Aumasson, Bernstein, 2012) over its key, with a
// secret of this table, beside those that name its buckets. A look compares it with 24 rows
// at most, so that it takes another for its own once in 10^20 times; and nobody can search
// for such a pair.
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
	t.filters.warms = false
}

// tag names the row with this key; so do the calls of the other methods.
func (t *fingerprintTable) tag(key []byte) (g tag) {
	t.hashed = binary.BigEndian.AppendUint32(t.hashed[:0], t.dropped[[generationBytes]byte(key)])
	t.hashed = append(t.hashed, key...)
	low, high := siphash.Hash128(t.secret[0], t.secret[1], t.hashed)
	return tag{
		line:  max(uint32(low), 1),
		rest:  low>>32 | high&0xff<<32,
		first: t.bucketAt(high), second: t.bucketAt(bits.RotateLeft64(high, 32)),
	}
}

// bucketAt is named by the upper bits of a hash.
func (t *fingerprintTable) bucketAt(hash uint64) uint32 {
	i, _ := bits.Mul64(hash, uint64(len(t.memory)/bucketBytes))
	return uint32(i)
}

func (t *fingerprintTable) bucket(i uint32) []byte {
	return t.memory[int(i)*bucketBytes:][:bucketBytes]
}

// touch reads what a look for the row begins with.
func (t *fingerprintTable) touch(g tag) {
	t.touched ^= t.bucket(g.first)[0] ^ t.bucket(g.second)[0]
}

// touchSlot reads what a look for the row goes on with, and a put if it isn't there.
func (t *fingerprintTable) touchSlot(g tag) {
	bucket, i := t.find(g)
	if i < 0 {
		bucket = t.bucket(g.first)
		i = int(bucket[bucketNext])
	}
	t.touched ^= slotOf(bucket, i)[slotBytes-1]
}

// find returns the row's bucket and the number of its slot there, which is -1 where it has
// none.
func (t *fingerprintTable) find(g tag) (bucket []byte, slot int) {
	for _, i := range [...]uint32{g.first, g.second} {
		bucket = t.bucket(i)
		for slot := range slotsPerBucket {
			if lineOf(bucket, slot) == g.line && restOf(bucket, slot) == g.rest {
				return bucket, slot
			}
		}
	}
	return nil, -1
}

func lineOf(bucket []byte, i int) uint32 { return binary.LittleEndian.Uint32(bucket[i*lineBytes:]) }

func restOf(bucket []byte, i int) uint64 {
	return binary.LittleEndian.Uint64(slotOf(bucket, i)) & (1<<(8*restBytes) - 1)
}

func slotOf(bucket []byte, i int) []byte { return bucket[bucketSlots+i*slotBytes:][:slotBytes] }

// get returns the row, if it is known.
func (t *fingerprintTable) get(g tag) (f Fingerprint, known bool) {
	bucket, i := t.find(g)
	if i < 0 {
		return f, false
	}
	f.unpack((*[packedBytes]byte)(slotOf(bucket, i)[restBytes:]))
	return f, true
}

// put remembers a row. One that is too large for a slot is as unknown as one that was
// never put.
func (t *fingerprintTable) put(g tag, f *Fingerprint) {
	if !f.packs() {
		t.remove(g)
		return
	}
	bucket, i := t.find(g)
	if i < 0 {
		bucket, i = t.vacate(g)
	}
	fillSlot(bucket, i, g, f)
}

// offer remembers a row where there is room for it.
func (t *fingerprintTable) offer(g tag, f *Fingerprint) {
	if _, i := t.find(g); i >= 0 || !f.packs() {
		return
	}
	if bucket, i := t.vacant(g); i >= 0 {
		fillSlot(bucket, i, g, f)
	}
}

func fillSlot(bucket []byte, i int, g tag, f *Fingerprint) {
	binary.LittleEndian.PutUint32(bucket[i*lineBytes:], g.line)
	slot := slotOf(bucket, i)
	binary.LittleEndian.PutUint32(slot, uint32(g.rest))
	slot[restBytes-1] = byte(g.rest >> 32)
	f.pack((*[packedBytes]byte)(slot[restBytes:]))
}

// vacate finds a slot for a row that has none.
func (t *fingerprintTable) vacate(g tag) (bucket []byte, slot int) {
	if bucket, slot = t.vacant(g); slot >= 0 {
		return bucket, slot
	}
	bucket = t.bucket(g.first)
	slot = int(bucket[bucketNext])
	bucket[bucketNext] = byte((slot + 1) % slotsPerBucket)
	return bucket, slot
}

// vacant finds an empty slot for a row, -1 where there is none.
func (t *fingerprintTable) vacant(g tag) (bucket []byte, slot int) {
	for _, i := range [...]uint32{g.first, g.second} {
		bucket = t.bucket(i)
		for slot := range slotsPerBucket {
			if lineOf(bucket, slot) == 0 {
				return bucket, slot
			}
		}
	}
	return nil, -1
}

func (t *fingerprintTable) remove(g tag) {
	if bucket, i := t.find(g); i >= 0 {
		clear(bucket[i*lineBytes:][:lineBytes])
	}
}

// dropRange forgets the rows from start up to, but without, end.
func (t *fingerprintTable) dropRange(start, end []byte) {
	if start[0] > byte(kindFingerprint) || bytes.Compare(end, []byte{byte(kindFingerprint)}) <= 0 {
		return
	}
	t.filters.warms = false
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
		if err != nil {
			return err
		}
		if !ok {
			return t.takeUp(t.ahead[:n])
		}
		switch {
		case op == pebble.InternalKeyKindRangeDelete:
			if err := t.takeUp(t.ahead[:n]); err != nil { // of which there may be rows that go
				return err
			}
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
			if err := t.takeUp(t.ahead[:]); err != nil {
				return err
			}
			n = 0
		}
	}
}

// takeUp does what was written to rows, in order.
func (t *fingerprintTable) takeUp(rows []followed) error {
	for i := range rows {
		t.touch(rows[i].tag)
		t.touched ^= t.filters.touch(rows[i].hash)
	}
	for i := range rows {
		t.touchSlot(rows[i].tag)
	}
	for i := range rows {
		switch row := &rows[i]; {
		case row.puts:
			f, err := decodeFingerprint(row.key, row.value)
			if err != nil {
				return err
			}
			t.put(row.tag, &f)
			t.filters.add(row.key, row.hash)
		case !planted.Is(planted.StaleTable):
			t.remove(row.tag)
			t.filters.remove(row.key)
		}
	}
	clear(rows) // they are in a batch's memory
	return nil
}
