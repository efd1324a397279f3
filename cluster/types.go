package cluster

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

// StateMachine is what the log is applied to. Its Apply returns for each entry
// either the reply as []byte, or an error with a method NotApplied() bool that
// returns true when the entry was fenced and changed nothing. Any other
// response is an unknown outcome.
type StateMachine interface {
	raft.FSM
	// Applied is the index of the last entry that Apply has applied. Those that
	// it fenced need not count; Raft's own no-ops, barriers and configuration
	// entries never do.
	Applied() uint64
	// Position is that index with the term of its entry, 0 and 0 before the first.
	Position() (index, term uint64)
	// Covers reads the beginning of a snapshot's stream, as Persist wrote it, and
	// reports whether the state holds all that the snapshot holds, so that it need
	// not be restored. It fails if the stream is no snapshot that this program can
	// read, or if snapshot and state are of different histories.
	Covers(snapshot io.Reader) (bool, error)
	// Snapshots is where Raft keeps what Snapshot makes and what other members
	// send, the same one at each call. Open only opens: it reads nothing to the
	// end. The Size that it tells is the exact length of the stream.
	Snapshots() raft.SnapshotStore
	// WaitApplied returns when Applied() >= index or ctx is done.
	WaitApplied(ctx context.Context, index uint64) error
}

// Gate is the leader's side of the state machine. All its methods are called
// concurrently, and all but Flow on the leader only.
type Gate interface {
	// Flow names those among whom body stands, of at most 1,024 bytes. Where there
	// isn't room for all, the flows take turns and each gets as many bytes as any
	// other. It is cheap, and called before Admit: body may be malformed.
	Flow(body []byte) string
	// LeaderReady is called once in a term, when the term's first Barrier has
	// completed and before any other call of the term.
	LeaderReady(term uint64)
	// Admit validates body in full and decides whether it goes to the log. It
	// may wait for proposals in flight, no longer than ctx. A non-nil reply
	// answers without a log entry: the caller confirms its leadership before it
	// tells it. Otherwise release is not nil, and is called exactly once when
	// the proposal's outcome is known or will not be awaited any longer: with
	// what the state machine replied, or nil if it didn't or nobody knows. An
	// error means that nothing was admitted: one with a method Overloaded() bool
	// that returns true, that there is no room (ErrOverloaded); one with a method
	// NotApplied() bool that returns true, or the context's own, that it may be
	// admitted when sent again; any other, that body can't be an entry
	// (ErrInvalid).
	Admit(ctx context.Context, term uint64, body []byte) (reply []byte, release func(reply []byte), err error)
	// Stamp returns the extension bytes for an entry about to be appended in term.
	Stamp(term uint64, body []byte) []byte
	// AuthorizeJoin says whether token lets the node join. An entry that isn't nil has to
	// be committed before, and JoinAuthorized to agree with what the state machine
	// replied to it. with is the same in all attempts of one node to join, and another
	// in those of others that may call themselves the same. Like Admit's, an error
	// with a method NotApplied() bool that returns true says that it can't be
	// decided just now; any other refuses the token.
	AuthorizeJoin(token, nodeID string, with [32]byte) (entry []byte, err error)
	// JoinAuthorized returns nil if the reply lets the node join.
	JoinAuthorized(reply []byte) error
}

// Auditor judges whether the members' state machines are what they should be, by
// what they report to one another every few seconds. Its methods are called
// concurrently.
type Auditor interface {
	// Report is what this node tells the others: a value of JSON, of at most 32 KiB.
	Report() []byte
	// Compare is told after each exchange who the members are, by id, and whether
	// each is a voter; and the reports of those that have answered, without self.
	Compare(self string, members map[string]bool, reports map[string][]byte)
	// Diverged says that a member's state machine isn't what it should be. Such a
	// leader hands leadership over to a voter that is none.
	Diverged(id string) bool
}

// Role is a node's part in the cluster.
type Role string

const (
	RoleLeader    Role = "leader"
	RoleFollower  Role = "follower"
	RoleCandidate Role = "candidate"
	RoleNonvoter  Role = "nonvoter"
	RoleUnjoined  Role = "unjoined"
)

// Status is this node's view of itself and its cluster.
type Status struct {
	NodeID       string
	ClusterID    string // empty: not joined
	Version      string
	Role         Role
	Term         uint64
	LeaderID     string // empty: none known
	LeaderPeer   string
	CommitIndex  uint64 // Raft's, for display only
	LastLogIndex uint64
	AppliedIndex uint64 // the state machine's
	Voters       int
	// FailuresTolerated is how many voters may be lost before writes stop.
	FailuresTolerated int
	Insecure          bool // the peer port speaks plain text
	// Certificate is this node's for the peer port; nil: it has none.
	Certificate *certs.Status
	// CaughtUp: the state machine has applied a read index that was obtained
	// since this process started. It stays true.
	CaughtUp bool
	Ready    bool // caught up, and a leader is known
	// ClockOffset is how far this node's clock is ahead of the median of the
	// members'; ClockSkewed, that it is off by more than MaxClockSkew.
	ClockOffset time.Duration
	ClockSkewed bool
	Disk        Disk
	// LastContact is how long ago this node heard from the leader; 0 on the leader.
	LastContact time.Duration
	// Dead are the members that have not answered this node for long, by id.
	Dead []DeadMember
}

// Disk is the one of this node's that has least room above MinFreeBytes. Once it has
// less, it is Full, and the node refuses writes as leader, until it has a quarter more.
type Disk struct {
	Dir                                 string // on it
	FreeBytes, TotalBytes, MinFreeBytes int64
	Full                                bool
}

// Member is one server of the Raft configuration, with what gossip knows of it.
type Member struct {
	ID       string
	PeerAddr string
	HTTPAddr string // empty: unknown
	Voter    bool
	Leader   bool
	Alive    bool // by gossip; a hint
	// GossipKeys are the fingerprints of the keys that it gossips with, of which the first
	// encrypts; nil where that isn't known.
	GossipKeys []string
	Version    string
	// ClockOffset is how far its clock is ahead of the median of the members', if
	// ClockKnown.
	ClockOffset time.Duration
	ClockKnown  bool
	// Diverged: the Auditor says so.
	Diverged bool
	Follower
}
