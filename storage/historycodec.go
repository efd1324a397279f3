package storage

import (
	"bytes"
	"math"
)

// Flags of a history row.
const (
	flagKeyed             byte = 1 << 0
	flagCheckpointSkipped byte = 1 << 1
)

//	+---------+-------+-------------+----------------+---------------+
//	| version | flags | sync id str | applied at i64 | stored at i64 |
//	+---------+--+----+------+------+--+-------------+-------+-------+
//	| key id str | store str | pipeline str | mode u8 | sync timestamp i64 |
//	+------------+-----------+--------------+---------+--------------------+
//	| slot u64, with bit 0 only |
//	+---------------------------+-----------------------------+
//	| upserted uvarint | deleted uvarint | skipped uvarint    |
//	+-----------------+-+---------------+-+-------------------+-+-----------------+
//	| created uvarint | updated uvarint | unchanged uvarint     | removed uvarint |
//	+-----------------+-----------------+-----------------------+-----------------+
//	| namespaces uvarint | listed uvarint | each: name str, upserted, deleted, skipped uvarint
//	+--------------------+----------------+---------------------------------------------------
//
//	flags: bit 0 = it came with an idempotency key, bit 1 = its checkpoint was skipped; the others are 0

// historyNamespaceMin is the size of a namespace without a name.
const historyNamespaceMin = 4

func (h History) encode(w *writer) {
	w.u8(rowVersion)
	var flags byte
	if h.Keyed {
		flags = flagKeyed
	}
	if h.CheckpointSkipped {
		flags |= flagCheckpointSkipped
	}
	w.u8(flags)
	w.str(h.SyncID)
	w.i64(h.AppliedAt)
	w.i64(h.StoredAt)
	w.str(h.KeyID)
	w.str(h.Store)
	w.str(h.Pipeline)
	w.u8(h.Mode)
	w.i64(h.Timestamp)
	if h.Keyed {
		w.u64(h.KeySlot)
	}
	h.HistoryCounts.encode(w)
	w.uvarint(h.Created)
	w.uvarint(h.Updated)
	w.uvarint(h.Unchanged)
	w.uvarint(h.Removed)
	w.uvarint(uint64(h.Namespaces))
	w.uvarint(uint64(len(h.ByNamespace)))
	for i := range h.ByNamespace {
		w.str(h.ByNamespace[i].Name)
		h.ByNamespace[i].HistoryCounts.encode(w)
	}
}

func (h *History) decode(r *reader) {
	r.version(rowVersion)
	flags := r.flags(flagKeyed | flagCheckpointSkipped)
	h.Keyed, h.CheckpointSkipped = flags&flagKeyed != 0, flags&flagCheckpointSkipped != 0
	h.SyncID = r.str()
	h.AppliedAt = r.i64()
	h.StoredAt = r.i64()
	h.KeyID = r.str()
	h.Store = r.str()
	h.Pipeline = r.str()
	h.Mode = r.u8()
	h.Timestamp = r.i64()
	if h.Keyed {
		h.KeySlot = r.u64()
	}
	h.HistoryCounts.decode(r)
	h.Created = r.uvarint()
	h.Updated = r.uvarint()
	h.Unchanged = r.uvarint()
	h.Removed = r.uvarint()
	h.Namespaces = r.uvarint32()
	n := r.uvarint()
	if n > uint64(len(r.b))/historyNamespaceMin {
		r.fail("%d namespaces in %d bytes", n, len(r.b))
	}
	if r.err != nil || n == 0 {
		return
	}
	h.ByNamespace = make([]HistoryNamespace, n)
	for i := range h.ByNamespace {
		h.ByNamespace[i].Name = r.str()
		h.ByNamespace[i].HistoryCounts.decode(r)
	}
}

func (c HistoryCounts) encode(w *writer) {
	w.uvarint(uint64(c.Upserted))
	w.uvarint(uint64(c.Deleted))
	w.uvarint(uint64(c.Skipped))
}

func (c *HistoryCounts) decode(r *reader) {
	c.Upserted = r.uvarint32()
	c.Deleted = r.uvarint32()
	c.Skipped = r.uvarint32()
}

func (r *reader) uvarint32() uint32 {
	v := r.uvarint()
	if v > math.MaxUint32 {
		r.fail("%d is over 32 bits", v)
		return 0
	}
	return uint32(v)
}

//	+---------+-----------+-----------+-----------+-----------------+
//	| version | first u64 | count u64 | since i64 | checkpoints u32 |
//	+---------+-----------+-----------+-----------+-----------------+

func (h HistoryHead) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(h.First)
	w.u64(h.Count)
	w.i64(h.Since)
	w.u32(h.Checkpoints)
}

func (h *HistoryHead) decode(r *reader) {
	r.version(rowVersion)
	h.First = r.u64()
	h.Count = r.u64()
	h.Since = r.i64()
	h.Checkpoints = r.u32()
}

// syncIndex is the Raft index of one sync.
type syncIndex uint64

//	+---------+-----------+
//	| version | index u64 |
//	+---------+-----------+

func (s syncIndex) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(uint64(s))
}

func (s *syncIndex) decode(r *reader) {
	r.version(rowVersion)
	*s = syncIndex(r.u64())
}

//	+---------+--------------------+-----------+----------------+
//	| version | sync timestamp i64 | index u64 | updated at i64 |
//	+---------+---+-------------+--+-----------+----------------+
//	| sync id str | state bytes |
//	+-------------+-------------+

func (c PipelineCheckpoint) encode(w *writer) {
	w.u8(rowVersion)
	w.i64(c.Timestamp)
	w.u64(c.Index)
	w.i64(c.UpdatedAt)
	w.str(c.SyncID)
	w.bytes(c.State)
}

func (c *PipelineCheckpoint) decode(r *reader) {
	r.version(rowVersion)
	c.Timestamp = r.i64()
	c.Index = r.u64()
	c.UpdatedAt = r.i64()
	c.SyncID = r.str()
	c.State = bytes.Clone(r.bytes())
}
