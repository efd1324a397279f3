package storage

//	+---------+-------------+-----------+-------------+----------------+
//	| version | request 32  | index u64 | sync id str | stored at i64  |
//	+---------+-------------+-----------+-------------+----------------+

func (i Idempotency) encode(w *writer) {
	w.u8(rowVersion)
	w.raw(i.Request[:])
	w.u64(i.Index)
	w.str(i.SyncID)
	w.i64(i.StoredAt)
}

func (i *Idempotency) decode(r *reader) {
	r.version(rowVersion)
	copy(i.Request[:], r.take(uint64(len(i.Request))))
	i.Index = r.u64()
	i.SyncID = r.str()
	i.StoredAt = r.i64()
}

//	+---------+---------------+-----------+-------------+
//	| version | stored at i64 | index u64 | key hash 32 |
//	+---------+---------------+-----------+-------------+

func (s IdempotencySlot) encode(w *writer) {
	w.u8(rowVersion)
	w.i64(s.StoredAt)
	w.u64(s.Index)
	w.raw(s.Key[:])
}

func (s *IdempotencySlot) decode(r *reader) {
	r.version(rowVersion)
	s.StoredAt = r.i64()
	s.Index = r.u64()
	copy(s.Key[:], r.take(uint64(len(s.Key))))
}

//	+---------+-----------+----------+
//	| version | first u64 | next u64 |
//	+---------+-----------+----------+

func (h IdempotencyHead) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(h.First)
	w.u64(h.Next)
}

func (h *IdempotencyHead) decode(r *reader) {
	r.version(rowVersion)
	h.First = r.u64()
	h.Next = r.u64()
}

//	+---------+-------------+----------------+
//	| version | sync id str | applied at i64 |
//	+---------+-----+-------+-----+----------+--+
//	| upserted u32  | deleted u32 | skipped u32 |
//	+-------------+-+-----------+-+-------------+-+-------------+
//	| created u64 | updated u64 | unchanged u64   | removed u64 |
//	+-------------+-------------+-----------------+-------------+
//	| namespaces uvarint | each: name str, upserted u32, deleted u32, skipped u32
//	+--------------------+--------------------------------------------------------

// historyNamespaceMin is the size of a namespace without a name.
const historyNamespaceMin = 13

func (h History) encode(w *writer) {
	w.u8(rowVersion)
	w.str(h.SyncID)
	w.i64(h.AppliedAt)
	h.HistoryCounts.encode(w)
	w.u64(h.Created)
	w.u64(h.Updated)
	w.u64(h.Unchanged)
	w.u64(h.Removed)
	w.uvarint(uint64(len(h.ByNamespace)))
	for i := range h.ByNamespace {
		w.str(h.ByNamespace[i].Name)
		h.ByNamespace[i].HistoryCounts.encode(w)
	}
}

func (h *History) decode(r *reader) {
	r.version(rowVersion)
	h.SyncID = r.str()
	h.AppliedAt = r.i64()
	h.HistoryCounts.decode(r)
	h.Created = r.u64()
	h.Updated = r.u64()
	h.Unchanged = r.u64()
	h.Removed = r.u64()
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
	w.u32(c.Upserted)
	w.u32(c.Deleted)
	w.u32(c.Skipped)
}

func (c *HistoryCounts) decode(r *reader) {
	c.Upserted = r.u32()
	c.Deleted = r.u32()
	c.Skipped = r.u32()
}
