package storage

//	+---------+---------+----------+----------------+-------------------+
//	| version | org str | name str | secret hash 32 | default store str |
//	+---------+------+--+----------+-----+----------+---------+---------+
//	| created at i64 | expires at i64    | revoked at i64     |
//	+----------------+------+------------+--------------------+
//	| lifetime seconds u32  | actions u8 | stores uvarint     | each: name str
//	+-----------------------+------------+--------------------+---------------
//	| namespaces uvarint    | each: pattern str        | rotated to str |
//	+-----------------------+--------------------------+----------------+

func (k Key) encode(w *writer) {
	w.u8(rowVersion)
	w.str(k.Org)
	w.str(k.Name)
	w.raw(k.SecretHash[:])
	w.str(k.DefaultStore)
	w.i64(k.CreatedAt)
	w.i64(k.ExpiresAt)
	w.i64(k.RevokedAt)
	w.u32(k.LifetimeSeconds)
	w.u8(byte(k.Scope.Actions))
	w.strs(k.Scope.Stores)
	w.strs(k.Scope.Namespaces)
	w.str(k.RotatedTo)
}

func (k *Key) decode(r *reader) {
	r.version(rowVersion)
	k.Org = r.str()
	k.Name = r.str()
	copy(k.SecretHash[:], r.take(32))
	k.DefaultStore = r.str()
	k.CreatedAt = r.i64()
	k.ExpiresAt = r.i64()
	k.RevokedAt = r.i64()
	k.LifetimeSeconds = r.u32()
	k.Scope.Actions = KeyActions(r.u8())
	k.Scope.Stores = r.strs()
	k.Scope.Namespaces = r.strs()
	k.RotatedTo = r.str()
}

// empty is the value of a row that says all in its key.
type empty struct{}

//	+---------+
//	| version |
//	+---------+

func (empty) encode(w *writer) { w.u8(rowVersion) }

func (*empty) decode(r *reader) { r.version(rowVersion) }
