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

func (s SlotRange) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(s.First)
	w.u64(s.Next)
}

func (s *SlotRange) decode(r *reader) {
	r.version(rowVersion)
	s.First = r.u64()
	s.Next = r.u64()
}
