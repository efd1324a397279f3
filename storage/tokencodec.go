package storage

// JoinToken lets one node join the cluster, once.
type JoinToken struct {
	SecretHash [32]byte // SHA-256
	CreatedAt  int64    // wall time
	ExpiresAt  int64    // cluster time
	// UsedBy is the node that has joined with it; empty: none. UsedWith tells the
	// attempts of that node from those of another of its name.
	UsedBy   string
	UsedWith [32]byte
}

//	+---------+----------------+----------------+----------------+-------------+--------------+
//	| version | secret hash 32 | created at i64 | expires at i64 | used by str | used with 32 |
//	+---------+----------------+----------------+----------------+-------------+--------------+

func (t JoinToken) encode(w *writer) {
	w.u8(rowVersion)
	w.raw(t.SecretHash[:])
	w.i64(t.CreatedAt)
	w.i64(t.ExpiresAt)
	w.str(t.UsedBy)
	w.raw(t.UsedWith[:])
}

func (t *JoinToken) decode(r *reader) {
	r.version(rowVersion)
	copy(t.SecretHash[:], r.take(32))
	t.CreatedAt = r.i64()
	t.ExpiresAt = r.i64()
	t.UsedBy = r.str()
	copy(t.UsedWith[:], r.take(32))
}
