package storage

// CARotation is how far the cluster has got in putting a new CA in the place of its
// own.
type CARotation struct {
	Phase   byte   // as in the entry; 0: no rotation has been begun
	CA      []byte // the certificate of the new CA, in DER
	BegunAt int64  // wall time
	PhaseAt int64  // wall time at which the phase began
}

//	+---------+-------+--------------+--------------+----------+
//	| version | phase | begun at i64 | phase at i64 | CA bytes |
//	+---------+-------+--------------+--------------+----------+

func (c CARotation) encode(w *writer) {
	w.u8(rowVersion)
	w.u8(c.Phase)
	w.i64(c.BegunAt)
	w.i64(c.PhaseAt)
	w.bytes(c.CA)
}

func (c *CARotation) decode(r *reader) {
	r.version(rowVersion)
	c.Phase = r.u8()
	c.BegunAt = r.i64()
	c.PhaseAt = r.i64()
	c.CA = r.bytes()
}
