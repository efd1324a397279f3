package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// Causes for which an operation was certainly not done and is worth sending
// again: a leader is on its way, or this one was asked in the wrong moment.
var (
	errNotLeader    = notApplied("the node asked is not the leader")
	errOtherTerm    = notApplied("the leader is in another term than the one addressed")
	errTransferring = notApplied("leadership is being transferred")
	errLeaderBusy   = notApplied("the leader did not take the entry into its log in time")
	errFenced       = notApplied("the entry was appended in another term than it was stamped for, and changed nothing")
	errGate         = notApplied("the leader could not decide on the proposal just now")
	errUnreachable  = notApplied("the leader could not be connected to")
	errNotMember    = notApplied("the node that asks is no member of the cluster")
)

var retriable = []error{
	errNotLeader, errOtherTerm, errTransferring, errLeaderBusy, errFenced, errGate, errUnreachable, errNotMember,
}

func isRetriable(err error) bool {
	for _, cause := range retriable {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

func unknownOutcome(doing string, cause error) error {
	return fmt.Errorf("%s: %w: %w", doing, ErrOutcomeUnknown, cause)
}

// classifyApply sorts the error of an ApplyLog's future. Only those that Raft
// returns before it has appended the entry are not applied; anything else, an
// error of the log store included, leaves the entry where a later leader may
// find and commit it.
func classifyApply(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("appending: %w", errLeaderBusy)
	case errors.Is(err, raft.ErrNotLeader):
		return fmt.Errorf("appending: %w", errNotLeader)
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("appending: %w", errTransferring)
	default:
		return unknownOutcome("awaiting the commit", err)
	}
}

// classifyResponse sorts what the state machine answered to a committed entry.
func classifyResponse(response any) ([]byte, error) {
	switch r := response.(type) {
	case []byte:
		if r != nil {
			return r, nil
		}
	case error:
		if isPassing(r) {
			return nil, fmt.Errorf("applying: %w", errFenced)
		}
		return nil, unknownOutcome("applying", r)
	}
	return nil, fmt.Errorf("applying: the state machine answered with %T: %w", response, ErrOutcomeUnknown)
}

// classifyAdmit sorts an error of Gate.Admit. Nothing was admitted.
func classifyAdmit(err error) error {
	var full interface{ Overloaded() bool }
	switch {
	case errors.As(err, &full) && full.Overloaded():
		return fmt.Errorf("admitting: %w: %w", ErrOverloaded, err)
	case isPassing(err), isContext(err):
		return fmt.Errorf("admitting: %w: %w", errGate, err)
	default:
		return fmt.Errorf("admitting: %w: %w", ErrInvalid, err)
	}
}

// classifyJoin sorts an error of Gate.AuthorizeJoin.
func classifyJoin(err error) error {
	if isPassing(err) {
		return fmt.Errorf("%w: %w", errGate, err)
	}
	return fmt.Errorf("%w: %w", ErrUnauthorized, err)
}

// isPassing reports whether the gate or the state machine says that it did
// nothing, for a reason that passes.
func isPassing(err error) bool {
	var passing interface{ NotApplied() bool }
	return errors.As(err, &passing) && passing.NotApplied()
}

// classifyChange sorts the error of a configuration change's future.
func classifyChange(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return errLeaderBusy
	case errors.Is(err, raft.ErrNotLeader):
		return errNotLeader
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return errTransferring
	default:
		// A prevIndex that is not the latest any more is refused before it is
		// appended, but Raft has no name for that error. The operations that
		// change the configuration may all be repeated.
		return unknownOutcome("changing the configuration", err)
	}
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Over the hop an outcome travels as a word and a cause, never as text that is
// parsed. Words and causes are never reused for another meaning.
type outcome string

const (
	outcomeDecided    outcome = "decided"     // the body is the reply
	outcomeNotApplied outcome = "not-applied" // certainly; the cause says why
	outcomeUnknown    outcome = "unknown"
	outcomeRefused    outcome = "refused" // a change of members or of the CA that the leader declines
)

// causes name the sentinels on the wire.
var causes = []struct {
	name string
	err  error
}{
	{"not-leader", errNotLeader},
	{"other-term", errOtherTerm},
	{"transferring", errTransferring},
	{"busy", errLeaderBusy},
	{"fenced", errFenced},
	{"gate", errGate},
	{"not-member", errNotMember},
	{"overloaded", ErrOverloaded},
	{"disk-full", ErrDiskFull},
	{"invalid", ErrInvalid},
	{"no-leader", ErrNoLeader},
	{"unauthorized", ErrUnauthorized},
	{"no-certificate", ErrNoCertificate},
	{"quorum-at-risk", ErrQuorumAtRisk},
	{"unknown-member", ErrUnknownMember},
	{"id-taken", ErrIDTaken},
	{"version-too-old", ErrVersionTooOld},
	{"no-authority", ErrNoAuthority},
	{"cluster-too-old", ErrClusterTooOld},
	{"rotation-failed", ErrRotationFailed},
	{"transfer-failed", ErrTransferFailed},
}

// outcomeOf returns how err is told to another node. A node that is stopping,
// removed or not joined is simply not the leader for the one that asked.
func outcomeOf(err error) (outcome, string) {
	if err == nil {
		return outcomeDecided, ""
	}
	if errors.Is(err, ErrOutcomeUnknown) {
		return outcomeUnknown, ""
	}
	for _, c := range causes {
		if !errors.Is(err, c.err) {
			continue
		}
		if errors.Is(err, ErrNotApplied) {
			return outcomeNotApplied, c.name
		}
		return outcomeRefused, c.name
	}
	if errors.Is(err, ErrNotApplied) {
		return outcomeNotApplied, "not-leader"
	}
	return outcomeUnknown, ""
}

// errorOf is outcomeOf's inverse. What it doesn't know is unknown.
func errorOf(o outcome, cause, text string) error {
	if o == outcomeNotApplied || o == outcomeRefused {
		for _, c := range causes {
			if c.name == cause && errors.Is(c.err, ErrNotApplied) == (o == outcomeNotApplied) {
				return &remoteError{text: text, cause: c.err}
			}
		}
		if o == outcomeNotApplied {
			return &remoteError{text: text, cause: errNotLeader}
		}
	}
	return &remoteError{text: text, cause: ErrOutcomeUnknown}
}

// remoteError is an error that happened on the leader: its text already
// contains its cause's.
type remoteError struct {
	text  string
	cause error
}

func (e *remoteError) Error() string { return "at the leader: " + e.text }
func (e *remoteError) Unwrap() error { return e.cause }
