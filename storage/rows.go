package storage

import "cmp"

// Numbers interned by the state machine, given in entry order. They keep keys
// short and are never reused, so a row of a dropped generation can't be
// mistaken for one of its successor.
type (
	OrgNum       uint32
	StoreNum     uint32
	NamespaceNum uint32
	Generation   uint32
)

// Epoch names one history of the cluster. It is minted at bootstrap, restore
// and recover; the zero Epoch means that no entry has been applied yet.
type Epoch [16]byte

// Digest is an order-free 128-bit sum: over (id, content hash) of the live records
// of one generation, or over (name, digest) of what has such generations.
type Digest [16]byte

// Hash is the first 16 bytes of the SHA-256 of a record's canonical content.
type Hash [16]byte

// Seq is the position of a change: the Raft index of its entry and the
// offset of the operation inside it. It orders all changes of a store.
type Seq struct {
	Index  uint64
	Offset uint32
}

// Compare orders changes.
func (s Seq) Compare(other Seq) int {
	return cmp.Or(cmp.Compare(s.Index, other.Index), cmp.Compare(s.Offset, other.Offset))
}

// System is the one row that every batch rewrites: what has been applied, and
// the counters from which numbers are interned.
type System struct {
	ClusterID      string
	Epoch          Epoch
	AppliedIndex   uint64
	AppliedTerm    uint64
	ClusterVersion uint32
	// ClusterTime is the effective cluster time of the last applied entry, in
	// nanoseconds since bootstrap. It never goes back.
	ClusterTime   int64
	NextOrg       OrgNum
	NextStore     StoreNum
	NextNamespace NamespaceNum
	// Chain stands for all that every batch of this history has ever written, in
	// order: states in which it is equal were made by the same writes. See
	// Batch.SetSystem.
	Chain uint64
}

// MarksMax is how many marks the state remembers.
const MarksMax = 8

// Mark is the chain as it was before the entry at Index.
type Mark struct {
	Index uint64
	Chain uint64
}

// Marks are the last marks of the log.
type Marks struct {
	Last []Mark // at most MarksMax, the oldest first
	// ScrubIndex is the last mark at which all rows were to be hashed, and ScrubAt
	// its cluster time; 0: none.
	ScrubIndex uint64
	ScrubAt    int64
}

// Limits of an organization. In its own row 0 stands for what the settings say.
type Limits struct {
	RequestsPerWindow uint32 // syncs
	// In the settings 0 is no limit, here and below.
	BytesPerWindow uint64 // of operations, before compression
	// What it may have.
	RecordsMax    uint64
	BytesMax      uint64
	TombstonesMax uint64
	NamespacesMax uint64
}

// Settings are the limits that Apply reads. They are written at bootstrap and
// changed only by an entry, so that every node decides alike.
type Settings struct {
	// Limits are those of an organization that has none of its own. Rates are in
	// any WindowMillis of cluster time.
	Limits
	WindowMillis uint32
	// AdminTokenHash is the SHA-256 of the cluster's admin token.
	AdminTokenHash [32]byte
	// TombstoneRetentionSeconds is how long, in cluster time, a tombstone stays
	// at least; 0: for ever.
	TombstoneRetentionSeconds uint32
	// IdempotencyRetentionSeconds is how long, in cluster time, an idempotency
	// key is remembered; 0: for ever. IdempotencyKeysMax is how many of them an
	// organization may have at a time; 0: none.
	IdempotencyRetentionSeconds uint32
	IdempotencyKeysMax          uint32
	// HistoryRetentionSeconds is how long, in cluster time, a sync stays in the
	// history of its organization; 0: for ever. HistorySyncsMax is how many
	// there are at most, at least 1.
	HistoryRetentionSeconds uint32
	HistorySyncsMax         uint32
	// StoreNamespacesMax is how many namespaces a vector store may have; 0: no limit.
	StoreNamespacesMax uint64
	// DeadMemberRemovalSeconds is how long a member has to be silent before the
	// leader takes it out of the cluster; 0: never. MinVoters remain at least.
	DeadMemberRemovalSeconds uint32
	MinVoters                uint32
}

// Org is an organization, by name.
type Org struct {
	Num OrgNum
	// CreatedAt is entry wall time, in nanoseconds since the Unix epoch; so are
	// all times below unless they say otherwise.
	CreatedAt int64
	Limits
}

// Key is an API key, by key id. The secret itself is stored nowhere.
type Key struct {
	Org          string
	Name         string
	SecretHash   [32]byte
	DefaultStore string // empty: the key has none
	Scope        Scope
	CreatedAt    int64
	// ExpiresAt is from when on the key is refused; 0: never. LifetimeSeconds is
	// what it was made for; 0: for ever.
	ExpiresAt       int64
	LifetimeSeconds uint32
	RevokedAt       int64  // 0: not revoked
	RotatedTo       string // id of the key that was made to replace it; empty: none
}

// KeyActions is a set of bits.
type KeyActions uint8

// Scope is what a key may do. What is empty isn't limited.
type Scope struct {
	Actions    KeyActions
	Stores     []string
	Namespaces []string // patterns
}

// Store is a vector store, by (organization, name).
type Store struct {
	Num       StoreNum
	CreatedAt int64
}

// Namespace is a namespace, by (store, name). It exists from its first record.
type Namespace struct {
	Num       NamespaceNum
	Live      Generation
	Next      Generation
	Count     uint64 // live records in generation Live
	Digest    Digest // of generation Live
	LastIndex uint64 // Raft index of the last entry that named it
	UpdatedAt int64
	Bytes     uint64 // sizes of the live records
	Org       OrgNum
	// MaxTS, Floor and Horizon order batches by sync_timestamp; nanoseconds
	// since the Unix epoch. MaxTS is the newest that was written, Floor that of
	// the last full refresh, Horizon the newest of a collected tombstone; 0: none.
	MaxTS   int64
	Floor   int64
	Horizon int64
	// Refreshed is set where the last full refresh came with a timestamp of its
	// own; RefreshDigest is then the digest of what it brought.
	Refreshed     bool
	RefreshDigest Digest
	// Deleted is set from its deletion to its next record: nobody gets to see it.
	Deleted bool
	// Tombstones are those of generation Live. Where there are any, none was
	// buried before BuriedSince, in cluster time.
	Tombstones  uint64
	BuriedSince int64
	// Superseded are the contents of generation Live whose records have others since, and
	// SupersededBytes those of their fields. They stay until their changes are collected.
	Superseded      uint64
	SupersededBytes uint64
}

// Fingerprint is the dense row of a record (F), read by every decision.
type Fingerprint struct {
	Hash          Hash // zero for a tombstone
	SyncTimestamp int64
	Changed       Seq
	Tombstone     bool
	Size          uint32 // bytes that the record counts for; 0 for a tombstone
	// BuriedAt is the cluster time at which a tombstone was written last.
	BuriedAt int64
}

// Change is an entry of a store's change index (C): the record that changed at a
// seq. It holds only as long as that record's fingerprint has the same seq; what has
// changed again has a later entry.
type Change struct {
	Namespace NamespaceNum
	ID        string
}

// ChangeAt is a change of a Raft entry that is known beside it.
type ChangeAt struct {
	Offset uint32
	Change
}

// ChangesInRow is how many changes are in a row at most: of one Raft entry, in the order
// of their offsets, by (store, seq). Seq is that of the last of them, or of one behind it
// that was collected.
const ChangesInRow = 64

// Retired is a generation that is no longer live and whose fingerprints are still
// there, by (store, namespace, generation): those of ids up to After are done
// with, and gone.
type Retired struct {
	After string
}

// ChangeHead is what is known of a store's change index as a whole.
type ChangeHead struct {
	Entries uint64 // those included that hold no longer
	// Horizon is the newest seq of a tombstone that was collected; zero: none.
	Horizon Seq
}

// Content is the wide row of a record (R). A nil slice means that the field
// was absent; Data and File are the bytes that were sent.
type Content struct {
	Data         []byte
	File         []byte
	SourceSystem []byte
	CreatedAt    []byte
	UpdatedAt    []byte
	SyncID       string
}

// Usage is what is stored: by a vector store, by an organization, or by all.
type Usage struct {
	Records    uint64 // live
	Bytes      uint64 // their sizes
	Tombstones uint64
	Namespaces uint64
	// Digest is of the namespaces of a store, the stores of an organization, or the
	// organizations.
	Digest Digest
}

// WindowHead says which slots an organization's rate window has: one for each
// admitted sync from First up to, but without, Admitted, which is how many have
// been since the organization was created.
type WindowHead struct {
	Admitted uint64
	First    uint64
	// Forgotten is the cluster time of slot First−1, the newest that is gone.
	Forgotten int64
	// Bytes are those of all admitted syncs.
	Bytes uint64
}

// WindowSlot is one admitted sync in a rate window.
type WindowSlot struct {
	At     int64  // cluster time, nanoseconds since bootstrap
	Before uint64 // bytes of all syncs that were admitted before
}

// KeyHash is the SHA-256 of an idempotency key and the route that it was sent to.
type KeyHash [32]byte

// RequestHash tells one request from another under the same idempotency key: a
// byte of version, and that many of a SHA-256.
type RequestHash [32]byte

// Idempotency is the record of an idempotency key, by (organization, key).
type Idempotency struct {
	Request RequestHash
	// Index is the Raft index of the sync that the key made; its reply is in the
	// history row.
	Index  uint64
	SyncID string
	// StoredAt is the cluster time of that entry.
	StoredAt int64
}

// IdempotencySlot names one key of an organization. Slots are in the order in
// which the keys were stored, so the first are the first to expire.
type IdempotencySlot struct {
	StoredAt int64 // as in the key's record
	Index    uint64
	Key      KeyHash
}

// SlotRange is which slots there are of a kind: from First up to, but without, Next.
type SlotRange struct {
	First uint64
	Next  uint64
}

// History is what one sync did, by (organization, Raft index).
type History struct {
	SyncID    string
	AppliedAt int64
	StoredAt  int64 // the cluster time of its entry
	KeyID     string
	Store     string // its name
	Mode      byte   // as in the entry
	Timestamp int64  // its sync_timestamp, given or not
	// Keyed means that it came with an idempotency key. The reply is rebuilt from
	// this row as long as there is the key's slot, number KeySlot.
	Keyed   bool
	KeySlot uint64
	HistoryCounts
	Created   uint64
	Updated   uint64
	Unchanged uint64
	Removed   uint64
	// Namespaces is how many the operations name. ByNamespace has them, or some
	// of them, in the order in which operations first do.
	Namespaces  uint32
	ByNamespace []HistoryNamespace
	// Pipeline is whose checkpoint came with the sync; empty: none did.
	// CheckpointSkipped means that it was older than the one that there was.
	Pipeline          string
	CheckpointSkipped bool
}

// HistoryHead says which syncs the history of an organization has: Count of
// them, the first at index First or after it, none from before Since (cluster
// time). A row before First is there for its idempotency key alone.
type HistoryHead struct {
	First uint64
	Count uint64
	Since int64
	// Checkpoints is how many pipelines of the organization have one.
	Checkpoints uint32
}

// PipelineCheckpoint is the state of a pipeline, by (organization, name of the pipeline).
type PipelineCheckpoint struct {
	State     []byte // JSON, as it was sent
	Timestamp int64  // the newest sync_timestamp that a stored one came with
	SyncID    string // of the sync that it came with
	Index     uint64
	UpdatedAt int64
}

// HistoryCounts count operations.
type HistoryCounts struct {
	Upserted uint32
	Deleted  uint32
	Skipped  uint32
}

// HistoryNamespace are the counts of one namespace.
type HistoryNamespace struct {
	Name string
	HistoryCounts
}

// RequestID identifies one proposal.
type RequestID [16]byte

// Request is the record of a proposal that was applied, by request id.
type Request struct {
	StoredAt int64  // cluster time
	Reply    []byte // what was answered
}

// RequestSlot names one proposal. Slots are in the order of storing.
type RequestSlot struct {
	StoredAt int64
	ID       RequestID
}
