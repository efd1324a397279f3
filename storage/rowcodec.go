package storage

// rowVersion is the first byte of every value. All rows are at their first
// version; a row that changes gets a number of its own.
const rowVersion = 1

// Numbers are big-endian and of fixed width. bytes and str are a length
// (unsigned LEB128, no padding) and that many bytes.

//	+---------+-----------------+-----------+-------------+------------+
//	| version | cluster id str  | epoch 16  | applied u64 | term u64   |
//	+---------+-----------------+-----------+-------------+------------+
//	| cluster version u32 | cluster time i64 | next org u32            |
//	+---------------------+------------------+-------------------------+
//	| next store u32      | next namespace u32 | chain u64           |
//	+---------------------+--------------------+---------------------+

func (s System) encode(w *writer) {
	w.u8(rowVersion)
	w.str(s.ClusterID)
	w.raw(s.Epoch[:])
	w.u64(s.AppliedIndex)
	w.u64(s.AppliedTerm)
	w.u32(s.ClusterVersion)
	w.i64(s.ClusterTime)
	w.u32(uint32(s.NextOrg))
	w.u32(uint32(s.NextStore))
	w.u32(uint32(s.NextNamespace))
	w.u64(s.Chain)
}

func (s *System) decode(r *reader) {
	r.version(rowVersion)
	s.ClusterID = r.str()
	copy(s.Epoch[:], r.take(16))
	s.AppliedIndex = r.u64()
	s.AppliedTerm = r.u64()
	s.ClusterVersion = r.u32()
	s.ClusterTime = r.i64()
	s.NextOrg = OrgNum(r.u32())
	s.NextStore = StoreNum(r.u32())
	s.NextNamespace = NamespaceNum(r.u32())
	s.Chain = r.u64()
}

//	+---------+-----------------+--------------+---------------+
//	| version | scrub index u64 | scrub at i64 | count uvarint |
//	+---------+-----------------+--------------+---------------+
//	| index u64 | chain u64 |   of each mark; indexes ascend
//	+-----------+-----------+

func (m Marks) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(m.ScrubIndex)
	w.i64(m.ScrubAt)
	w.uvarint(uint64(len(m.Last)))
	for _, mark := range m.Last {
		w.u64(mark.Index)
		w.u64(mark.Chain)
	}
}

func (m *Marks) decode(r *reader) {
	r.version(rowVersion)
	m.ScrubIndex = r.u64()
	m.ScrubAt = r.i64()
	n := r.uvarint()
	if n > MarksMax {
		r.fail("%d marks, at most %d", n, MarksMax)
		return
	}
	for range n {
		mark := Mark{Index: r.u64(), Chain: r.u64()}
		if k := len(m.Last); k > 0 && mark.Index <= m.Last[k-1].Index {
			r.fail("mark %d after %d", mark.Index, m.Last[k-1].Index)
		}
		m.Last = append(m.Last, mark)
	}
}

//	+---------+-------------------+---------------------+
//	| version | window millis u32 | admin token hash 32 |
//	+---------+-------------------+---+-----------------+
//	| tombstone retention seconds u32 | idempotency retention seconds u32 |
//	+---------------------------------+-----------------------------------+
//	| idempotency keys max u32        | history retention seconds u32     |
//	+---------------------------------+-----------------------------------+
//	| history syncs max u32           | store namespaces max u64          |
//	+---------------------------------+-----------------------------------+
//	| dead member removal seconds u32 | min voters u32                    |
//	+---------------------------------+-----------------------------------+
//	| limits …                        |
//	+---------------------------------+

func (s Settings) encode(w *writer) {
	w.u8(rowVersion)
	w.u32(s.WindowMillis)
	w.raw(s.AdminTokenHash[:])
	w.u32(s.TombstoneRetentionSeconds)
	w.u32(s.IdempotencyRetentionSeconds)
	w.u32(s.IdempotencyKeysMax)
	w.u32(s.HistoryRetentionSeconds)
	w.u32(s.HistorySyncsMax)
	w.u64(s.StoreNamespacesMax)
	w.u32(s.DeadMemberRemovalSeconds)
	w.u32(s.MinVoters)
	s.Limits.encode(w)
}

func (s *Settings) decode(r *reader) {
	r.version(rowVersion)
	s.WindowMillis = r.u32()
	copy(s.AdminTokenHash[:], r.take(32))
	s.TombstoneRetentionSeconds = r.u32()
	s.IdempotencyRetentionSeconds = r.u32()
	s.IdempotencyKeysMax = r.u32()
	s.HistoryRetentionSeconds = r.u32()
	s.HistorySyncsMax = r.u32()
	s.StoreNamespacesMax = r.u64()
	s.DeadMemberRemovalSeconds = r.u32()
	s.MinVoters = r.u32()
	s.Limits.decode(r)
}

// The limits of an organization, in its own row and in the settings:
//
//	+-------------------------+---------------------+-------------------+
//	| requests per window u32 | records max uvarint | bytes max uvarint |
//	+-------------------------+---------------------+--+----------------+
//	| tombstones max uvarint  | namespaces max uvarint | bytes per window uvarint |
//	+-------------------------+------------------------+--------------------------+

func (l Limits) encode(w *writer) {
	w.u32(l.RequestsPerWindow)
	w.uvarint(l.RecordsMax)
	w.uvarint(l.BytesMax)
	w.uvarint(l.TombstonesMax)
	w.uvarint(l.NamespacesMax)
	w.uvarint(l.BytesPerWindow)
}

func (l *Limits) decode(r *reader) {
	l.RequestsPerWindow = r.u32()
	l.RecordsMax = r.uvarint()
	l.BytesMax = r.uvarint()
	l.TombstonesMax = r.uvarint()
	l.NamespacesMax = r.uvarint()
	l.BytesPerWindow = r.uvarint()
}

//	+---------+---------+----------------+----------+
//	| version | num u32 | created at i64 | limits … |
//	+---------+---------+----------------+----------+

func (o Org) encode(w *writer) {
	w.u8(rowVersion)
	w.u32(uint32(o.Num))
	w.i64(o.CreatedAt)
	o.Limits.encode(w)
}

func (o *Org) decode(r *reader) {
	r.version(rowVersion)
	o.Num = OrgNum(r.u32())
	o.CreatedAt = r.i64()
	o.Limits.decode(r)
}

//	+---------+---------+----------------+
//	| version | num u32 | created at i64 |
//	+---------+---------+----------------+

func (s Store) encode(w *writer) {
	w.u8(rowVersion)
	w.u32(uint32(s.Num))
	w.i64(s.CreatedAt)
}

func (s *Store) decode(r *reader) {
	r.version(rowVersion)
	s.Num = StoreNum(r.u32())
	s.CreatedAt = r.i64()
}

// The flags of a namespace.
const (
	flagRefreshed byte = 1 << iota
	flagDeleted
)

//	+---------+---------+----------+----------+-----------+-----------+
//	| version | num u32 | live u32 | next u32 | count u64 | digest 16 |
//	+---------+---------+----------+----------+-----------+-----------+
//	| last index u64 | updated at i64 | max ts i64 | floor i64        |
//	+----------------+-------+--------+----------+-+------------------+
//	| horizon i64    | flags | refresh digest 16 | tombstones u64     |
//	+----------------+-------+-------------------+--------------------+
//	| buried since i64 | bytes u64 | org u32 |
//	+------------------+-----------+---------+
//
//	flags: bit 0 = the last full refresh came with a timestamp, bit 1 = deleted;
//	the others are 0

func (n Namespace) encode(w *writer) {
	w.u8(rowVersion)
	w.u32(uint32(n.Num))
	w.u32(uint32(n.Live))
	w.u32(uint32(n.Next))
	w.u64(n.Count)
	w.raw(n.Digest[:])
	w.u64(n.LastIndex)
	w.i64(n.UpdatedAt)
	w.i64(n.MaxTS)
	w.i64(n.Floor)
	w.i64(n.Horizon)
	var flags byte
	if n.Refreshed {
		flags |= flagRefreshed
	}
	if n.Deleted {
		flags |= flagDeleted
	}
	w.u8(flags)
	w.raw(n.RefreshDigest[:])
	w.u64(n.Tombstones)
	w.i64(n.BuriedSince)
	w.u64(n.Bytes)
	w.u32(uint32(n.Org))
	w.u64(n.Superseded)
	w.u64(n.SupersededBytes)
}

func (n *Namespace) decode(r *reader) {
	r.version(rowVersion)
	n.Num = NamespaceNum(r.u32())
	n.Live = Generation(r.u32())
	n.Next = Generation(r.u32())
	n.Count = r.u64()
	copy(n.Digest[:], r.take(16))
	n.LastIndex = r.u64()
	n.UpdatedAt = r.i64()
	n.MaxTS = r.i64()
	n.Floor = r.i64()
	n.Horizon = r.i64()
	flags := r.flags(flagRefreshed | flagDeleted)
	n.Refreshed, n.Deleted = flags&flagRefreshed != 0, flags&flagDeleted != 0
	copy(n.RefreshDigest[:], r.take(16))
	n.Tombstones = r.u64()
	n.BuriedSince = r.i64()
	n.Bytes = r.u64()
	n.Org = OrgNum(r.u32())
	n.Superseded = r.u64()
	n.SupersededBytes = r.u64()
}

//	+---------+-------------+-----------+----------------+----------------+-----------+
//	| version | records u64 | bytes u64 | tombstones u64 | namespaces u64 | digest 16 |
//	+---------+-------------+-----------+----------------+----------------+-----------+

func (u Usage) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(u.Records)
	w.u64(u.Bytes)
	w.u64(u.Tombstones)
	w.u64(u.Namespaces)
	w.raw(u.Digest[:])
}

func (u *Usage) decode(r *reader) {
	r.version(rowVersion)
	u.Records = r.u64()
	u.Bytes = r.u64()
	u.Tombstones = r.u64()
	u.Namespaces = r.u64()
	copy(u.Digest[:], r.take(16))
}

// namespaceName is the name of a namespace, by (store, number).
type namespaceName string

//	+---------+----------+
//	| version | name str |
//	+---------+----------+

func (n namespaceName) encode(w *writer) {
	w.u8(rowVersion)
	w.str(string(n))
}

func (n *namespaceName) decode(r *reader) {
	r.version(rowVersion)
	*n = namespaceName(r.str())
}

//	+---------+--------------+-----------+---------------+-----------+
//	| version | admitted u64 | first u64 | forgotten i64 | bytes u64 |
//	+---------+--------------+-----------+---------------+-----------+

func (h WindowHead) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(h.Admitted)
	w.u64(h.First)
	w.i64(h.Forgotten)
	w.u64(h.Bytes)
}

func (h *WindowHead) decode(r *reader) {
	r.version(rowVersion)
	h.Admitted = r.u64()
	h.First = r.u64()
	h.Forgotten = r.i64()
	h.Bytes = r.u64()
}

//	+---------+------------------+------------------+
//	| version | cluster time i64 | bytes before u64 |
//	+---------+------------------+------------------+

func (s WindowSlot) encode(w *writer) {
	w.u8(rowVersion)
	w.i64(s.At)
	w.u64(s.Before)
}

func (s *WindowSlot) decode(r *reader) {
	r.version(rowVersion)
	s.At = r.i64()
	s.Before = r.u64()
}
