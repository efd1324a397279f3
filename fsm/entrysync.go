package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/s2"

	"pipesync/storage"
)

// The body of a sync, after the 22 bytes that all entries share:
//
//	┌───────┬──────┬───────────┬─────┬────────┬───────┬─────────┬───────────┬────────────┬──────────┐
//	│ flags │ mode │ timestamp │ org │ key id │ store │ sync id │ operation │ raw length │ s2 block │
//	│   1   │  1   │     8     │text │  text  │ text  │  text   │ count  4  │      4     │ the rest │
//	└───────┴──────┴───────────┴─────┴────────┴───────┴─────────┴───────────┴────────────┴──────────┘
//	flag 1 = has a timestamp; without it the timestamp is 0, and never is it below
//	flag 2 = stale operations reject the sync instead of being skipped
//	flag 4 = has an idempotency key: its hash (32) and the request's (32) lie between the sync id and the operation count
//	flag 8 = has a guard: thousandths of a percent (4), behind those
//	flag 16 = has a checkpoint: pipeline (text) and state (text), behind that
//	flag 32 = contents are omitted: their bytes (4), behind that
//
// The raw length is of the operations with all contents. The s2 block holds, when
// decompressed, so many bytes without those that are omitted:
//
//	┌─────────────────┬────────────────┬─────────────┬──────────────────────┬──────────────┐
//	│ namespace count │ names, in the  │ byte length │ ids of all operations│ operations … │
//	│     uvarint     │ order of first │ of the ids  │ one after another    │              │
//	│                 │ use     (text) │   uvarint   │                      │              │
//	└─────────────────┴────────────────┴─────────────┴──────────────────────┴──────────────┘
//
// and an operation is
//
//	┌───────┬────────────────────┬───────────┬────────────────┬──────────────────────────────────┐
//	│ flags │ index in the names │ id length │ hash, only of  │ data, file, source, created,     │
//	│   1   │      uvarint       │  uvarint  │ an upsert   16 │ updated: text, each if its flag  │
//	└───────┴────────────────────┴───────────┴────────────────┴──────────────────────────────────┘
//	flag bits 0-1 = action, 2..6 = data, file, source, created, updated present; 7 = they are omitted
//
// The ids lie together so that the decoder makes one string of them all.
const (
	syncFlagTimestamp  = 1
	syncFlagReject     = 2
	syncFlagKeyed      = 4
	syncFlagGuarded    = 8
	syncFlagCheckpoint = 16
	syncFlagOmitted    = 32
	syncFixedBytes     = 18 + 4
	idempotencyBytes   = 64
	omittedBytes       = 4

	opActionMask = 0b11
	opHasData    = 1 << 2
	opHasFile    = 1 << 3
	opHasSource  = 1 << 4
	opHasCreated = 1 << 5
	opHasUpdated = 1 << 6
	opOmitted    = 1 << 7
	opMinBytes   = 4 // a delete: flags, namespace, id length, and a byte of id

	pooledRawBytes = 4 << 20 // larger raw buffers aren't kept
)

var rawPool = sync.Pool{New: func() any { return new([]byte) }}

// encode copies the operations once; the block is compressed straight into the body.
func (s *Sync) encode() ([]byte, error) {
	plan, err := planSync(s)
	if err != nil {
		return nil, encodeError("sync", err)
	}
	pooled := rawPool.Get().(*[]byte)
	raw := plan.appendRaw((*pooled)[:0], s)
	checkpointBytes := 0
	if s.Checkpoint != nil {
		checkpointBytes = 2*binary.MaxVarintLen32 + len(s.Checkpoint.Pipeline) + len(s.Checkpoint.State)
	}
	fields := checkpointBytes + syncFixedBytes + idempotencyBytes + omittedBytes + 4*binary.MaxVarintLen16 + len(s.Org) + len(s.KeyID) + len(s.Store) + len(s.SyncID)
	e := beginEntry(KindSync, s.RequestID, fields+s2.MaxEncodedLen(len(raw)))
	var flags byte
	if s.HasTimestamp {
		flags = syncFlagTimestamp
	}
	if s.OnStale == RejectStale {
		flags |= syncFlagReject
	}
	if s.Idempotency.given() {
		flags |= syncFlagKeyed
	}
	if s.HasMaxDelete {
		flags |= syncFlagGuarded
	}
	if s.Checkpoint != nil {
		flags |= syncFlagCheckpoint
	}
	if s.OmittedBytes > 0 {
		flags |= syncFlagOmitted
	}
	e.u8(flags)
	e.u8(byte(s.Mode))
	e.u64(uint64(s.Timestamp))
	e.text(s.Org)
	e.text(s.KeyID)
	e.text(s.Store)
	e.text(s.SyncID)
	if s.Idempotency.given() {
		e.raw(s.Idempotency.Key[:])
		e.raw(s.Idempotency.Request[:])
	}
	if s.HasMaxDelete {
		e.u32(s.MaxDelete)
	}
	if s.Checkpoint != nil {
		e.text(s.Checkpoint.Pipeline)
		e.textBytes(s.Checkpoint.State)
	}
	if s.OmittedBytes > 0 {
		e.u32(s.OmittedBytes)
	}
	e.u32(uint32(len(s.Operations)))
	e.u32(uint32(len(raw)) + s.OmittedBytes)
	block := s2.Encode(e.b[len(e.b):], raw)
	e.b = e.b[:len(e.b)+len(block)]
	if cap(raw) <= pooledRawBytes {
		*pooled = raw
		rawPool.Put(pooled)
	}
	return sealEntry(e.b), nil
}

// syncPlan is what a first pass over the operations finds out, so that the
// second appends to a buffer of the right size.
type syncPlan struct {
	names    []string // distinct namespaces, in the order of first use
	nsOf     []uint32 // per operation, its index in names
	idBytes  int
	rawBytes int
}

func planSync(s *Sync) (*syncPlan, error) {
	if err := checkSyncFields(s); err != nil {
		return nil, err
	}
	p := &syncPlan{nsOf: make([]uint32, len(s.Operations))}
	index := make(map[string]uint32)
	var last uint32
	omitted := 0
	for i := range s.Operations {
		op := &s.Operations[i]
		if err := checkOperation(op); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
		if op.Omitted {
			omitted++
		}
		if len(p.names) == 0 || p.names[last] != op.Namespace {
			n, ok := index[op.Namespace]
			if !ok {
				n = uint32(len(p.names))
				index[op.Namespace] = n
				p.names = append(p.names, op.Namespace)
				p.rawBytes += textLen(len(op.Namespace))
			}
			last = n
		}
		p.nsOf[i] = last
		p.idBytes += len(op.ID)
		p.rawBytes += 1 + uvarintLen(uint64(last)) + uvarintLen(uint64(len(op.ID))) + op.contentBytes()
	}
	p.rawBytes += uvarintLen(uint64(len(p.names))) + textLen(p.idBytes)
	if bytes := p.rawBytes + int(s.OmittedBytes); bytes > MaxRawBytes {
		return nil, fmt.Errorf("operations have %d bytes, at most %d", bytes, MaxRawBytes)
	}
	if err := checkOmitted(s.Mode, omitted, int(s.OmittedBytes)); err != nil {
		return nil, err
	}
	return p, nil
}

// appendRaw appends what the s2 block holds.
func (p *syncPlan) appendRaw(dst []byte, s *Sync) []byte {
	if cap(dst) < p.rawBytes {
		dst = make([]byte, 0, p.rawBytes)
	}
	e := encoder{dst}
	e.uvarint(uint64(len(p.names)))
	for _, name := range p.names {
		e.text(name)
	}
	e.uvarint(uint64(p.idBytes))
	for i := range s.Operations {
		e.b = append(e.b, s.Operations[i].ID...)
	}
	for i := range s.Operations {
		op := &s.Operations[i]
		e.u8(op.flags())
		e.uvarint(uint64(p.nsOf[i]))
		e.uvarint(uint64(len(op.ID)))
		if op.Action == Upsert {
			e.raw(op.Hash[:])
		}
		for _, field := range op.content() {
			if field != nil {
				e.textBytes(field)
			}
		}
	}
	return e.b
}

// content lists the optional fields in the order of their flags; none where they are omitted.
func (op *Operation) content() [5][]byte {
	if op.Omitted {
		return [5][]byte{}
	}
	return [5][]byte{op.Data, op.File, op.SourceSystem, op.CreatedAt, op.UpdatedAt}
}

func (op *Operation) flags() byte {
	flags := byte(op.Action)
	if op.Omitted {
		flags |= opOmitted
	}
	for i, field := range op.content() {
		if field != nil {
			flags |= opHasData << i
		}
	}
	return flags
}

// contentBytes is the encoded size of the hash and the optional fields.
func (op *Operation) contentBytes() int {
	n := 0
	if op.Action == Upsert {
		n = len(op.Hash)
	}
	for _, field := range op.content() {
		if field != nil {
			n += textLen(len(field))
		}
	}
	return n
}

func checkSyncFields(s *Sync) error {
	if len(s.Operations) > MaxOperations {
		return fmt.Errorf("%d operations, at most %d", len(s.Operations), MaxOperations)
	}
	return errors.Join(checkName("sync id", s.SyncID), checkName("organization", s.Org),
		checkName("key id", s.KeyID), checkName("store", s.Store),
		checkMode(s.Mode, len(s.Operations)), checkTimestamp(s.HasTimestamp, s.Timestamp), checkOnStale(s.OnStale),
		checkMaxDelete(s.HasMaxDelete, s.MaxDelete), checkCheckpoint(s.Checkpoint))
}

func checkOnStale(o OnStale) error {
	if o != SkipStale && o != RejectStale {
		return fmt.Errorf("on stale %d", o)
	}
	return nil
}

func checkMaxDelete(has bool, v uint32) error {
	if v > AllDeleted || !has && v != 0 {
		return fmt.Errorf("a guard of %d thousandths of a percent", v)
	}
	return nil
}

func checkCheckpoint(c *Checkpoint) error {
	if c == nil {
		return nil
	}
	if n := len(c.State); n < 1 || n > MaxCheckpointBytes {
		return fmt.Errorf("a checkpoint's state has %d bytes, want 1..%d", n, MaxCheckpointBytes)
	}
	return checkName("pipeline", c.Pipeline)
}

// checkOmitted: each content that is omitted has some bytes. A full refresh writes all of its
// records into a new generation, and so has them all.
func checkOmitted(m Mode, operations, bytes int) error {
	if bytes < operations || (bytes == 0) != (operations == 0) {
		return fmt.Errorf("%d contents of %d bytes are omitted", operations, bytes)
	}
	if operations > 0 && m != Incremental {
		return errors.New("a full refresh omits contents")
	}
	return nil
}

func checkMode(m Mode, operations int) error {
	if m != Incremental && m != FullRefresh {
		return fmt.Errorf("mode %d", m)
	}
	if m == FullRefresh && operations == 0 {
		return errors.New("a full refresh without operations names no namespace")
	}
	return nil
}

func checkTimestamp(has bool, ts int64) error {
	if !has && ts != 0 {
		return errors.New("a timestamp that isn't there has a value")
	}
	if ts < 0 {
		return errors.New("a timestamp before 1970")
	}
	return nil
}

func checkOperation(op *Operation) error {
	if err := checkName("namespace", op.Namespace); err != nil {
		return err
	}
	if err := checkName("id", op.ID); err != nil {
		return err
	}
	switch op.Action {
	case Upsert:
		return nil
	case Delete:
		if op.Hash != (storage.Hash{}) || op.flags() != byte(Delete) {
			return errors.New("a delete has content")
		}
		return nil
	}
	return fmt.Errorf("action %d", op.Action)
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
func textLen(n int) int       { return uvarintLen(uint64(n)) + n }
