package fsm

import "pipesync/storage"

// Kind is the first byte of every entry body. Kinds are numbered explicitly
// and never reused; a changed meaning is a new kind.
type Kind byte

const (
	KindBootstrap   Kind = 1
	KindSync        Kind = 2
	KindKeyCreate   Kind = 3
	KindKeyRevoke   Kind = 4
	KindStoreCreate Kind = 5
	KindCollect     Kind = 6
	KindKeyRotate   Kind = 12
	KindLimitsSet   Kind = 13
	KindSettingsSet Kind = 14
	KindMark        Kind = 15

	KindVersionRaise Kind = 16

	KindReconcile       Kind = 7
	KindNamespaceDelete Kind = 8
	KindStoreDelete     Kind = 9
	KindOrgDelete       Kind = 10
	KindPurge           Kind = 17
	KindChangeCollect   Kind = 11

	KindCheckpointDelete Kind = 18

	KindTokenCreate Kind = 22
	KindTokenUse    Kind = 23
	KindTokenRevoke Kind = 24

	KindGossipKeyAdd     Kind = 25
	KindGossipKeyAdvance Kind = 26

	KindAdminTokenSet Kind = 30

	KindCARotationBegin   Kind = 27
	KindCARotationAdvance Kind = 28
)

// Mode says what a sync does to the namespaces that it names.
type Mode byte

const (
	Incremental Mode = 1 // changes only the records named
	FullRefresh Mode = 2 // the records named become the whole namespace
)

// OnStale says what becomes of a sync of which some operations are older than
// what they would overwrite.
type OnStale byte

const (
	SkipStale   OnStale = 0 // they are skipped, the others applied
	RejectStale OnStale = 1 // nothing is applied
)

// Action is what one operation does to its record.
type Action byte

const (
	Upsert Action = 1 // replaces the whole record
	Delete Action = 2
)

// RequestID identifies one proposal; the proposing node mints it. A sync that is
// proposed again under its id is applied once; the zero id protects nothing.
type RequestID [16]byte

// Operation is one upsert or delete. A nil slice means that the field was
// absent; a Delete carries only Namespace and ID.
type Operation struct {
	Action       Action
	Namespace    string
	ID           string
	Hash         storage.Hash // of the content; see ContentHash. Zero for a Delete
	Omitted      bool         // the content isn't in the entry, but for its hash; see FSM.OmitContents
	Data         []byte
	File         []byte
	SourceSystem []byte
	CreatedAt    []byte
	UpdatedAt    []byte
}

// Sync is one batch: it lands whole or not at all.
type Sync struct {
	RequestID RequestID
	SyncID    string
	Org       string
	KeyID     string
	Store     string
	Mode      Mode
	// Timestamp is the request's sync_timestamp in nanoseconds since the Unix
	// epoch; HasTimestamp is false where the request had none.
	Timestamp    int64
	HasTimestamp bool
	OnStale      OnStale
	// MaxDelete refuses the sync where it would remove a larger part of the live
	// records of its namespaces, together; in thousandths of a percent.
	// HasMaxDelete is false where the request had none.
	MaxDelete    uint32
	HasMaxDelete bool
	Checkpoint   *Checkpoint // nil: none
	Idempotency  Idempotency
	Operations   []Operation
	// OmittedBytes are those that the contents of Omitted operations would have in the entry.
	OmittedBytes uint32
}

// Checkpoint is how far a pipeline has got. State is JSON that nobody but the
// pipeline understands.
type Checkpoint struct {
	Pipeline string
	State    []byte
}

// AllDeleted is a MaxDelete of 100 %, which refuses nothing.
const AllDeleted = 100_000

// Bootstrap is the first command of a cluster's life. It is decided once: on a
// state that has a cluster id it changes nothing.
type Bootstrap struct {
	RequestID RequestID
	ClusterID string
	Epoch     storage.Epoch
	Settings  storage.Settings
}

// KeyCreate makes an API key, its organization where that is missing, and the
// default store where that is named and missing.
type KeyCreate struct {
	RequestID    RequestID
	KeyID        string
	Org          string
	Name         string
	SecretHash   [32]byte
	DefaultStore string // empty: none
	Scope        Scope
	// LifetimeSeconds is how long after the entry's wall time the key expires; 0:
	// never.
	LifetimeSeconds uint32
}

// KeyRotate makes a key that may do the same as another and lives as long as
// that was made for, and ends that one when the overlap is over: at once where
// there is none, and never later than it would have ended.
type KeyRotate struct {
	RequestID      RequestID
	KeyID          string
	NewKeyID       string
	SecretHash     [32]byte // of the new key
	OverlapSeconds uint32   // of wall time
}

// KeyRevoke ends a key. Revoking a revoked key succeeds and changes nothing.
type KeyRevoke struct {
	RequestID RequestID
	KeyID     string
}

// TokenCreate makes a token with which one node may join the cluster.
type TokenCreate struct {
	RequestID       RequestID
	TokenID         string
	SecretHash      [32]byte // SHA-256
	LifetimeSeconds uint32   // of cluster time, 1 to MaxTokenLifetimeSeconds
}

// TokenUse uses a token up, for a node that joins. With tells the attempts of that
// node from those of another that calls itself the same. The leader has compared the
// secret.
type TokenUse struct {
	RequestID RequestID
	TokenID   string
	NodeID    string
	With      [32]byte
}

// TokenRevoke forgets a token.
type TokenRevoke struct {
	RequestID RequestID
	TokenID   string
}

// GossipKeyAdd makes a key the cluster's first for gossip, and changes nothing where it
// has one; without First it begins to replace the one that there is.
type GossipKeyAdd struct {
	RequestID RequestID
	Key       storage.GossipKey
	First     bool
}

// GossipKeyAdvance goes on with the rotation of the gossip key, if the ring is at
// Revision: the new key is used from then on, or else the old one is dropped. The
// leader knows that every member can do without what is taken away.
type GossipKeyAdvance struct {
	RequestID RequestID
	Revision  uint64
}

// RotationPhase is how far a rotation of the cluster's CA has got.
type RotationPhase byte

const (
	RotationTrust  RotationPhase = 1 // members come to trust the new CA beside the old one
	RotationIssue  RotationPhase = 2 // they get certificates of the new CA
	RotationRetire RotationPhase = 3 // they cease to trust the old one
	RotationDone   RotationPhase = 4
)

// CARotationBegin begins to put a new CA in the place of the cluster's own.
type CARotationBegin struct {
	RequestID RequestID
	CA        []byte // its certificate, in DER; the key is in no entry
	// Replaces is the SHA-256 of the certificate of a CA that a rotation is in its first
	// phase with, and that is given up; zero: none.
	Replaces [32]byte
}

// CARotationAdvance says that all members are done with the phase before To.
type CARotationAdvance struct {
	RequestID RequestID
	CA        [32]byte // SHA-256 of the new CA's certificate
	To        RotationPhase
}

// AdminTokenSet puts another admin token in the place of the cluster's. One that is
// there already changes nothing.
type AdminTokenSet struct {
	RequestID RequestID
	Hash      [32]byte // SHA-256
}

// StoreCreate makes a vector store, and its organization where that is
// missing. Creating one that exists succeeds and changes nothing.
type StoreCreate struct {
	RequestID RequestID
	Org       string
	Store     string
}

// SettingsSet changes figures of the cluster's settings: those that it names, in
// the order of their numbers.
type SettingsSet struct {
	RequestID RequestID
	Figures   []FigureValue
}

// LimitsSet changes figures of an organization's own limits: those that it names,
// in the order of their numbers. It makes the organization where that is missing.
type LimitsSet struct {
	RequestID RequestID
	Org       string
	Figures   []FigureValue
}

// Collect removes tombstones of one generation, in the range of ids from After,
// exclusive, to Until, inclusive: those that were buried at or before Before and
// are older than the retention. It looks at MaxCollectRows rows at most, and does
// nothing where the generation is no longer live. An id that it removes is absent
// from then on, which the namespace's horizon makes up for.
type Collect struct {
	RequestID  RequestID
	Store      storage.StoreNum
	Namespace  string
	Generation storage.Generation
	After      string // empty: from the first id
	Until      string // empty: no row at all
	Before     int64  // cluster time
	// Oldest is when, in cluster time, the oldest of the tombstones that stay
	// in the whole generation was buried, at the earliest; 0: not known.
	Oldest int64
}

// Reconcile goes through rows of a retired generation, and leaves tombstones of what
// is gone. It does nothing where the generation isn't retired, or no longer.
type Reconcile struct {
	RequestID  RequestID
	Store      storage.StoreNum
	Namespace  string
	Generation storage.Generation
}

// NamespaceDelete removes all records of a namespace, as its key may. The namespace
// is there again from its next record.
type NamespaceDelete struct {
	RequestID RequestID
	Org       string
	KeyID     string
	Store     string
	Namespace string
}

// CheckpointDelete removes the checkpoint of a pipeline, as its key may. The pipeline's
// next one is its first, however old.
type CheckpointDelete struct {
	RequestID RequestID
	Org       string
	KeyID     string
	Pipeline  string
}

// StoreDelete removes a vector store and all that is in it. One that is made again
// under its name has nothing to do with it.
type StoreDelete struct {
	RequestID RequestID
	Org       string
	Store     string
}

// OrgDelete removes an organization with its keys and stores. One that is made again
// under its name has nothing to do with it.
type OrgDelete struct {
	RequestID RequestID
	Org       string
}

// Purge removes some of the stores and keys that are left of a deleted organization,
// which nobody can reach any more.
type Purge struct {
	RequestID RequestID
	Org       storage.OrgNum
}

// ChangeCollect removes entries of a store's change index that hold no longer:
// those of the first MaxCollectRows behind After that aren't behind Until.
type ChangeCollect struct {
	RequestID RequestID
	Store     storage.StoreNum
	After     storage.Seq
	Until     storage.Seq
}

// Mark has every node note the chain of its state as it is before the entry, so
// that nodes can compare theirs. Previous is what the proposer had noted at an
// earlier mark; zero: nothing.
type Mark struct {
	RequestID RequestID
	Previous  storage.Mark
	Scrub     bool // every node hashes all its rows as they are at this mark
}

// VersionRaise says that every member of the cluster knows the kinds of entries of
// a version. One that is no higher than the cluster's changes nothing.
type VersionRaise struct {
	RequestID RequestID
	Version   uint32
}
