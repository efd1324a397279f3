package fsm

import "errors"

var (
	// ErrNotReady means that the state is being replaced by a snapshot: try again.
	ErrNotReady = errors.New("state is being restored")
	// ErrClosed means that the state machine has been closed.
	ErrClosed = errors.New("state machine is closed")
	// ErrGenerationGone means that the generation asked for is no longer live.
	ErrGenerationGone = errors.New("generation is no longer live")
	// ErrStoreNotFound means that the organization has no such vector store.
	ErrStoreNotFound = errors.New("vector store not found")
	// ErrNamespaceNotFound means that the vector store has no such namespace.
	ErrNamespaceNotFound = errors.New("namespace not found")
	// ErrCursorCompacted means that deletions behind a cursor are no longer known:
	// start again from the beginning.
	ErrCursorCompacted = errors.New("deletions behind the cursor are no longer known")
	// ErrCursorAhead means that the view is older than a cursor: wait for its Index.
	ErrCursorAhead = errors.New("cursor is ahead of this node")
	// ErrCorrupt means that bytes are not what was encoded: a length, checksum
	// or value in them can't be right.
	ErrCorrupt = errors.New("corrupt bytes")
	// ErrUnknownFormat means that bytes have a kind or version that this binary
	// doesn't know: it is older than what wrote them.
	ErrUnknownFormat = errors.New("unknown kind or version: this binary is older than the cluster")
)

// notAppliedError is Apply's response to a fenced entry.
type notAppliedError struct{ text string }

func (e *notAppliedError) Error() string { return e.text }

// NotApplied is true: the entry changed nothing on any node.
func (e *notAppliedError) NotApplied() bool { return true }
