package fsm

// Outcome is what Apply, or the leader before the log, decided about a
// command. Refusals are outcomes, not errors: they are deterministic data that
// every node computes alike.
type Outcome byte

const (
	OK              Outcome = 1
	RateLimited     Outcome = 2 // the organization's window is full
	KeyNotFound     Outcome = 3
	KeyRevoked      Outcome = 4
	OrgMismatch     Outcome = 5 // the key belongs to another organization
	StoreNotFound   Outcome = 6
	NotBootstrapped Outcome = 7 // the cluster's first entry has not been applied

	TimestampInFuture      Outcome = 8  // the sync's timestamp is too far ahead of wall time
	StaleSync              Outcome = 9  // an operation is stale, and the sync rejects that
	StaleRefresh           Outcome = 10 // a namespace has newer data than the full refresh
	RefreshTimestampReused Outcome = 11 // the last full refresh had this timestamp and other content
	SyncTooOld             Outcome = 12 // an id may have been deleted later, which is no longer known

	// Replayed means that the sync was applied before, under the same idempotency
	// key: the result is the first one's, but for the window.
	Replayed             Outcome = 13
	IdempotencyKeyReused Outcome = 14 // the key came before with another request
	IdempotencyStoreFull Outcome = 15 // the organization has as many keys as it may

	KeyExpired     Outcome = 16
	KeyScopeDenied Outcome = 17 // the key's scope doesn't allow all of the sync

	QuotaExceeded Outcome = 18 // the organization would have more than it may
	DeleteGuard   Outcome = 19 // more records would be removed than the sync allows

	NamespaceNotFound Outcome = 20
	OrgNotFound       Outcome = 21

	VersionTooLow Outcome = 22 // some member of the cluster may not know such entries

	// TooManyRefusals is the leader's alone, never Apply's: Apply has refused as many
	// syncs of the API key, each for a log entry, as it may.
	TooManyRefusals Outcome = 23

	// ReconcileBacklog means that too many flips of a namespace wait for Reconciles.
	ReconcileBacklog Outcome = 24

	CheckpointNotFound Outcome = 25

	// ContentsOmitted means that the state hasn't a content that the sync's entry omits. It
	// is to be proposed with all of them.
	ContentsOmitted Outcome = 26

	TokenNotFound Outcome = 32
	TokenUsed     Outcome = 33 // by another node
	TokenExpired  Outcome = 34
	TooManyTokens Outcome = 35 // as many as there may be have not expired

	NoGossipKeys      Outcome = 36 // there is nothing to rotate yet
	GossipKeyRotating Outcome = 37 // the last rotation has not ended

	RotationRunning  Outcome = 38 // a rotation of the CA isn't done
	RotationMismatch Outcome = 39 // the rotation of the CA isn't where the command follows
)

func (o Outcome) known() bool {
	return o >= OK && o <= ContentsOmitted || o >= TokenNotFound && o <= RotationMismatch
}

// Result is the reply to one command, the same bytes on every path. Sync is
// set for a Sync command, else nil.
type Result struct {
	Outcome Outcome
	Index   uint64 // Raft index of the entry, if Replayed of the first one; 0 where the leader refused before the log
	Created bool   // for creations: false where it existed
	Sync    *SyncResult
}

// SyncResult has the counts of a sync and the state of the rate window after it.
type SyncResult struct {
	SyncID      string
	Counts      Counts
	ByNamespace []NamespaceCounts // in the order in which operations first name them
	Details     Details
	Window      Window
	// CheckpointSkipped means that the sync's checkpoint is older than the one
	// that there is.
	CheckpointSkipped bool
	Losses            *Losses // with DeleteGuard alone
	Excess            *Excess // with QuotaExceeded alone
	// RetryMillis is how long, in cluster time, until the sync may be admitted: with
	// TooManyRefusals, and with RateLimited where there is no room for its bytes.
	RetryMillis uint32
}

// Losses are what a sync would remove of the live records of the namespaces that
// its operations name, together.
type Losses struct {
	Live    uint64 // before
	Removed uint64 // of them, gone after
	Limit   uint32 // what the sync allows, in thousandths of a percent
}

// Counts count operations, also those that changed nothing. Each is counted once:
// a skipped one isn't counted by its action.
type Counts struct {
	Upserted uint32
	Deleted  uint32
	Skipped  uint32
}

// NamespaceCounts are the Counts of one namespace.
type NamespaceCounts struct {
	Namespace string
	Counts
}

// Details count distinct ids by net effect, but not those whose operations were
// skipped. Removed counts ids live before and gone after, those that a full
// refresh cleared included.
type Details struct {
	Created   uint64
	Updated   uint64
	Unchanged uint64
	Removed   uint64
}

// Window is an organization's rate window at one moment of cluster time.
type Window struct {
	Limit     uint32
	Remaining uint32
	// ResetMillis is how long, in cluster time, until the oldest counted sync
	// leaves the window; 0 where none is counted.
	ResetMillis uint32
	// WindowMillis is the length of the window.
	WindowMillis uint32
}
