// Package planted has the bugs that the tests must find. Each stands where such a
// bug would stand in the product, behind a question to Is. Without the build tag
// planted the answer is a constant no, and the compiler leaves nothing of it in the
// program; with the tag the environment variable PIPESYNC_PLANTED names the one bug
// that is live.
//
// scripts/planted runs, for each bug, the suite that has to catch it
// (internal/planted/hunt). A suite that a bug passes unseen is worth less than it
// says.
package planted

// Variable is the environment variable that names the live bug.
const Variable = "PIPESYNC_PLANTED"

// Bug names one bug.
type Bug string

const (
	// CutUnflushed lets Raft cut its log behind a snapshot while the live
	// database holds the entries in memory alone.
	CutUnflushed Bug = "cut-unflushed"
	// HalfSwap moves CURRENT to the database of a restore before that is there.
	HalfSwap Bug = "half-swap"
	// IndexAlone writes the applied index in a batch of its own, after the rows.
	IndexAlone Bug = "index-alone"
	// NoTermFence applies what was stamped in another term than it was appended in.
	NoTermFence Bug = "no-term-fence"
	// WallWindow measures the rate window on wall time.
	WallWindow Bug = "wall-window"
	// RebasedTime has a leader begin cluster time anew with each entry.
	RebasedTime Bug = "rebased-time"
	// NoTombstone forgets what was deleted.
	NoTombstone Bug = "no-tombstone"
	// UnchangedUnstamped leaves an unchanged record at its old timestamp.
	UnchangedUnstamped Bug = "unchanged-unstamped"
	// RevokedApplies leaves the check of the API key to the edge.
	RevokedApplies Bug = "revoked-applies"
	// UnscopedApplies leaves the check of the API key's scope to the edge.
	UnscopedApplies Bug = "unscoped-applies"
	// FloorForTombstones drops the tombstones that a full refresh finds, as if its
	// floor stood for them: who follows the changes keeps what was deleted.
	FloorForTombstones Bug = "floor-for-tombstones"
	// StaleTable leaves fingerprints in memory that a batch deletes.
	StaleTable Bug = "stale-table"
	// ForgetfulRequests applies a sync again that is proposed again.
	ForgetfulRequests Bug = "forgetful-requests"
	// NoChecksum believes whatever raft.db gives back.
	NoChecksum Bug = "no-checksum"
	// BareVerify takes VerifyLeader alone for a confirmation.
	BareVerify Bug = "bare-verify"
	// OwnIndex reads at what the leader's own state machine has applied.
	OwnIndex Bug = "own-index"
	// CommitAhead tells a follower the commit index whatever the request holds.
	CommitAhead Bug = "commit-ahead"
	// ReplayedForward sends a forward again of which the outcome is unknown, as if
	// it had not been applied.
	ReplayedForward Bug = "replayed-forward"
	// AnyCertificate takes any certificate at the peer port for a member's.
	AnyCertificate Bug = "any-certificate"
	// ReusableToken lets every node in that has a join token.
	ReusableToken Bug = "reusable-token"
	// HastyRotation goes on with a rotation of the gossip key without asking who has
	// the new one.
	HastyRotation Bug = "hasty-rotation"
	// LocalRefusal refuses a key that this node doesn't know without asking the leader.
	LocalRefusal Bug = "local-refusal"
	// HeartbeatsBeside has Raft handle each heartbeat beside its main loop.
	HeartbeatsBeside Bug = "heartbeats-beside"
)
