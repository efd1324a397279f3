package storage

// AdminTokenChange tells of the last change of the cluster's admin token, whose hash is in
// the settings.
type AdminTokenChange struct {
	Changes   uint64 // since the cluster was formed; 0: it is still the first
	ChangedAt int64  // wall time
}

//	+---------+-------------+----------------+
//	| version | changes u64 | changed at i64 |
//	+---------+-------------+----------------+

func (c AdminTokenChange) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(c.Changes)
	w.i64(c.ChangedAt)
}

func (c *AdminTokenChange) decode(r *reader) {
	r.version(rowVersion)
	c.Changes = r.u64()
	c.ChangedAt = r.i64()
	if r.err == nil && c.Changes == 0 {
		r.fail("no change of the admin token")
	}
}
