package fsm

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// syncEntry is a decoded sync with its namespace table.
type syncEntry struct {
	Sync
	names    []string // distinct namespaces, in the order of first use
	nsOf     []uint32 // per operation, its index in names
	rawBytes int      // of the operations with all contents, decompressed
	memory   *syncMemory
}

// decodeSyncFields reads the plain fields and leaves d at the s2 block.
func (h *Header) decodeSyncFields(d *decoder) {
	flags := d.u8("flags")
	if flags&^(syncFlagTimestamp|syncFlagReject|syncFlagKeyed|syncFlagGuarded|syncFlagCheckpoint|syncFlagOmitted) != 0 {
		d.fail("flags %#x", flags)
	}
	if flags&syncFlagReject != 0 {
		h.OnStale = RejectStale
	}
	h.HasTimestamp = flags&syncFlagTimestamp != 0
	h.Mode = Mode(d.u8("mode"))
	h.Timestamp = int64(d.u64("timestamp"))
	h.Org = d.name("organization")
	h.KeyID = d.name("key id")
	h.Store = d.name("store")
	h.SyncID = d.name("sync id")
	if flags&syncFlagKeyed != 0 {
		d.fill("idempotency key", h.Idempotency.Key[:])
		d.fill("request hash", h.Idempotency.Request[:])
		if !h.Idempotency.given() {
			d.fail("an idempotency key of zeros")
		}
	}
	if h.HasMaxDelete = flags&syncFlagGuarded != 0; h.HasMaxDelete {
		h.MaxDelete = uint32(d.count("guard", AllDeleted))
	}
	if flags&syncFlagCheckpoint != 0 {
		h.Checkpoint = &Checkpoint{d.name("pipeline"), d.textBytes("checkpoint", MaxCheckpointBytes)}
		if len(h.Checkpoint.State) == 0 {
			d.fail("an empty checkpoint")
		}
	}
	if flags&syncFlagOmitted != 0 {
		if h.OmittedBytes = d.count("bytes of omitted contents", MaxRawBytes); h.OmittedBytes == 0 {
			d.fail("no bytes of contents are omitted")
		}
	}
	h.OpCount = d.count("operation count", MaxOperations)
	h.RawBytes = d.count("raw length", MaxRawBytes)
	if d.err != nil {
		return
	}
	if err := checkMode(h.Mode, h.OpCount); err != nil {
		d.fail("%v", err)
	}
	if err := checkTimestamp(h.HasTimestamp, h.Timestamp); err != nil {
		d.fail("%v", err)
	}
	if bytes := h.RawBytes - h.OmittedBytes; h.OpCount*opMinBytes > bytes || bytes < 0 {
		d.fail("%d operations in %d bytes", h.OpCount, bytes)
	}
}

// count reads a u32 that is at most limit.
func (d *decoder) count(what string, limit uint32) int {
	v := d.u32(what)
	if v > limit {
		d.fail("%s is %d, at most %d", what, v, limit)
		return 0
	}
	return int(v)
}

func decodeSync(d *decoder, h Header) (*syncEntry, error) {
	h.decodeSyncFields(d)
	if d.err != nil {
		return nil, d.err
	}
	m := syncMemories.Get().(*syncMemory)
	raw, err := inflate(m.raw, d.b, h.RawBytes-h.OmittedBytes)
	if err != nil {
		return nil, err
	}
	m.raw = raw
	e := &syncEntry{rawBytes: h.RawBytes, memory: m, Sync: Sync{
		RequestID:    h.RequestID,
		SyncID:       h.SyncID,
		Org:          h.Org,
		KeyID:        h.KeyID,
		Store:        h.Store,
		Mode:         h.Mode,
		Timestamp:    h.Timestamp,
		HasTimestamp: h.HasTimestamp,
		OnStale:      h.OnStale,
		MaxDelete:    h.MaxDelete,
		HasMaxDelete: h.HasMaxDelete,
		Idempotency:  h.Idempotency,
		OmittedBytes: uint32(h.OmittedBytes),
	}}
	if h.Checkpoint != nil {
		e.Checkpoint = &Checkpoint{h.Checkpoint.Pipeline, bytes.Clone(h.Checkpoint.State)}
	}
	rd := decoder{b: raw}
	if err := e.decodeNames(&rd); err != nil {
		return nil, err
	}
	ids := rd.text("ids", MaxOperations*MaxNameBytes)
	e.decodeOperations(&rd, h.OpCount, ids)
	return e, rd.done()
}

// inflate decompresses block, which must hold exactly rawBytes, into the memory of dst where
// they have room.
func inflate(dst, block []byte, rawBytes int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, fmt.Errorf("%w: operations block: %w", ErrCorrupt, err)
	}
	if n != rawBytes {
		return nil, fmt.Errorf("%w: operations block holds %d bytes, the header says %d", ErrCorrupt, n, rawBytes)
	}
	if cap(dst) < rawBytes {
		dst = make([]byte, rawBytes)
	}
	raw, err := s2.Decode(dst[:rawBytes], block)
	if err != nil {
		return nil, fmt.Errorf("%w: operations block: %w", ErrCorrupt, err)
	}
	return raw, nil
}

func (e *syncEntry) decodeNames(d *decoder) error {
	n := int(d.uvarint("namespace count", MaxOperations))
	if n*2 > len(d.b) {
		d.fail("%d namespaces in %d bytes", n, len(d.b))
	}
	if d.err != nil || n == 0 {
		return d.err
	}
	e.names = make([]string, n)
	seen := make(map[string]struct{}, n)
	for i := range e.names {
		e.names[i] = d.name("namespace")
		seen[e.names[i]] = struct{}{}
	}
	if d.err == nil && len(seen) != n {
		d.fail("a namespace is named twice")
	}
	return d.err
}

// decodeOperations reads n operations, whose ids lie in ids one after another.
// Each namespace must be used, and first in the order of the table.
func (e *syncEntry) decodeOperations(d *decoder, n int, ids string) {
	if n*(opMinBytes-1) > len(d.b) || n > len(ids) {
		d.fail("%d operations in %d bytes and %d of ids", n, len(d.b), len(ids))
	}
	if d.err != nil || n == 0 {
		if len(e.names) != 0 || len(ids) != 0 {
			d.fail("names or ids without operations")
		}
		return
	}
	m := e.memory
	m.operations, m.nsOf = zeroed(m.operations, n), zeroed(m.nsOf, n)
	e.Operations, e.nsOf = m.operations, m.nsOf
	used, omitted := 0, 0
	for i := range e.Operations {
		op := &e.Operations[i]
		flags := d.u8("operation flags")
		ns := int(d.uvarint32("namespace index"))
		idBytes := int(d.uvarint("id length", MaxNameBytes))
		if d.err == nil && (ns > used || ns >= len(e.names) || idBytes < 1 || idBytes > len(ids)) {
			d.fail("operation %d names namespace %d and an id of %d bytes", i, ns, idBytes)
		}
		if d.err != nil {
			return
		}
		used = max(used, ns+1)
		e.nsOf[i] = uint32(ns)
		op.Namespace = e.names[ns]
		op.ID, ids = ids[:idBytes], ids[idBytes:]
		op.decodeContent(d, flags)
		if op.Omitted {
			omitted++
		}
	}
	if err := checkOmitted(e.Mode, omitted, int(e.OmittedBytes)); err != nil && d.err == nil {
		d.fail("%v", err)
	}
	if used != len(e.names) || len(ids) != 0 {
		d.fail("%d of %d namespaces used, %d bytes of ids left", used, len(e.names), len(ids))
	}
}

func (op *Operation) decodeContent(d *decoder, flags byte) {
	op.Action = Action(flags & opActionMask)
	switch {
	case op.Action != Upsert && op.Action != Delete, flags&opOmitted != 0 && flags != opOmitted|byte(Upsert):
		d.fail("operation flags %#x", flags)
	case op.Action == Delete && flags != byte(Delete):
		d.fail("a delete has content")
	case op.Action == Upsert:
		d.fill("hash", op.Hash[:])
		op.Omitted = flags&opOmitted != 0
	}
	fields := [5]*[]byte{&op.Data, &op.File, &op.SourceSystem, &op.CreatedAt, &op.UpdatedAt}
	for i, field := range fields {
		if flags&(opHasData<<i) != 0 {
			*field = d.textBytes("content", MaxRawBytes)
		}
	}
}
