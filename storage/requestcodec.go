package storage

import "bytes"

//	+---------+---------------+-------------+
//	| version | stored at i64 | reply bytes |
//	+---------+---------------+-------------+

func (q Request) encode(w *writer) {
	w.u8(rowVersion)
	w.i64(q.StoredAt)
	w.bytes(q.Reply)
}

func (q *Request) decode(r *reader) {
	r.version(rowVersion)
	q.StoredAt = r.i64()
	q.Reply = bytes.Clone(r.bytes()) // the row's memory is Pebble's
}

//	+---------+---------------+---------------+
//	| version | stored at i64 | request id 16 |
//	+---------+---------------+---------------+

func (s RequestSlot) encode(w *writer) {
	w.u8(rowVersion)
	w.i64(s.StoredAt)
	w.raw(s.ID[:])
}

func (s *RequestSlot) decode(r *reader) {
	r.version(rowVersion)
	s.StoredAt = r.i64()
	copy(s.ID[:], r.take(uint64(len(s.ID))))
}
