package cluster

import "errors"

// Outcome classes of Propose. An error of this package matches exactly one of
// the first two through errors.Is; a nil error means that the reply is the
// decision. They keep their identity across the forward hop.
var (
	// ErrNotApplied means that the proposal is in no log and never will be: it
	// may be sent again at once.
	ErrNotApplied = errors.New("not applied")
	// ErrOutcomeUnknown means that the proposal may have been committed, or may
	// be yet. Only an idempotent request may be sent again.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Causes within the class ErrNotApplied; each also matches ErrNotApplied.
var (
	// ErrNoLeader means that no leader could be reached within the deadline.
	ErrNoLeader = notApplied("no leader within the deadline")
	// ErrOverloaded means that the bytes in flight are at their bound, and that the
	// queue for room is full or no turn came within the deadline.
	ErrOverloaded = notApplied("too many bytes in flight")
	// ErrDiskFull means that the leader's disk is too full for further writes.
	ErrDiskFull = notApplied("the leader's disk is too full")
	// ErrNotJoined means that this node belongs to no cluster yet.
	ErrNotJoined = notApplied("this node has not joined a cluster")
	// ErrStopped means that this node is shutting down.
	ErrStopped = notApplied("this node is stopping")
	// ErrInvalid means that the leader refused the bytes: they would be a
	// poison entry. It is a bug of the proposer, never of the request.
	ErrInvalid = notApplied("the leader refused the proposal as malformed")
)

// Errors of membership changes.
var (
	ErrUnauthorized  = errors.New("join refused")
	ErrQuorumAtRisk  = errors.New("would lose quorum")
	ErrUnknownMember = errors.New("no such member")
	ErrAlreadyJoined = errors.New("this node belongs to a cluster already")
	// ErrReseeded means that this node was reseeded, and may only join.
	ErrReseeded = errors.New("this node was reseeded: it joins the cluster that it was a member of, and forms none")
	ErrIDTaken  = errors.New("another member has this node id or address")
	// ErrNoCertificate means that this node has no certificate, which the peer port
	// needs.
	ErrNoCertificate = errors.New("the node has no certificate")
	// ErrNoAuthority means that no member has the key of the cluster's CA.
	ErrNoAuthority = errors.New("no member has the key of the cluster's CA")
	// ErrClusterTooOld means that some member's program may not know what is asked for.
	ErrClusterTooOld = errors.New("a member's program is older than what is asked for")
	// ErrRotationFailed means that the leader could not begin to replace the CA.
	ErrRotationFailed = errors.New("the CA is not being replaced")
	// ErrVersionTooOld means that the node's program doesn't know the cluster's version.
	ErrVersionTooOld = errors.New("the node's program is older than the cluster")
)

type notAppliedError struct{ text string }

func notApplied(text string) error         { return &notAppliedError{text} }
func (e *notAppliedError) Error() string   { return e.text }
func (e *notAppliedError) Is(t error) bool { return t == ErrNotApplied }

// ErrRemoved means that this node was taken out of its cluster. Its directory is of no
// use any more: see Reseed. It matches
// ErrNotJoined and ErrNotApplied too.
var ErrRemoved error = removedError{}

// ErrTransferFailed means that leadership was not handed over.
var ErrTransferFailed = errors.New("leadership was not transferred")

type removedError struct{}

func (removedError) Error() string {
	return "this node was removed from its cluster: it can join again once it is reseeded, or with an empty data directory as a new node"
}
func (removedError) Is(t error) bool { return t == ErrNotJoined || t == ErrNotApplied }
