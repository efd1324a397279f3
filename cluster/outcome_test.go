package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
)

// class returns which of the two classes err is of; it must be exactly one.
func class(t *testing.T, err error) string {
	t.Helper()
	na, unknown := errors.Is(err, ErrNotApplied), errors.Is(err, ErrOutcomeUnknown)
	switch {
	case na && unknown:
		t.Fatalf("both classes at once: %v", err)
	case na:
		return "not applied"
	case unknown:
		return "unknown"
	case err == nil:
		return "decided"
	}
	t.Fatalf("no class: %v", err)
	return ""
}

func TestClassifyApply(t *testing.T) {
	for _, c := range []struct {
		err   error
		class string
		retry bool
	}{
		{nil, "decided", false},
		{raft.ErrEnqueueTimeout, "not applied", true},
		{raft.ErrNotLeader, "not applied", true},
		{raft.ErrLeadershipTransferInProgress, "not applied", true},
		{raft.ErrLeadershipLost, "unknown", false},
		{raft.ErrRaftShutdown, "unknown", false},
		{raft.ErrAbortedByRestore, "unknown", false},
		{errors.New("failed to write the log"), "unknown", false},
	} {
		got := classifyApply(c.err)
		if class(t, got) != c.class || isRetriable(got) != c.retry {
			t.Errorf("%v: %s, retried %v: %v", c.err, class(t, got), isRetriable(got), got)
		}
	}
}

func TestClassifyResponse(t *testing.T) {
	var nilBytes []byte
	for _, c := range []struct {
		name     string
		response any
		class    string
		retry    bool
	}{
		{"reply", []byte("x"), "decided", false},
		{"empty reply", []byte{}, "decided", false},
		{"nothing", nil, "unknown", false},
		{"nil bytes", nilBytes, "unknown", false},
		{"foreign", 42, "unknown", false},
		{"text", "x", "unknown", false},
		{"error", errors.New("x"), "unknown", false},
		{"fenced", fencedError{}, "not applied", true},
		{"wrapped fenced", fmt.Errorf("x: %w", fencedError{}), "not applied", true},
	} {
		_, got := classifyResponse(c.response)
		if class(t, got) != c.class || isRetriable(got) != c.retry {
			t.Errorf("%s: %s, retried %v: %v", c.name, class(t, got), isRetriable(got), got)
		}
	}
}

type fullError struct{}

func (fullError) Error() string    { return "full" }
func (fullError) Overloaded() bool { return true }

func TestClassifyAdmit(t *testing.T) {
	for _, c := range []struct{ err, is error }{
		{errors.New("poison"), ErrInvalid},
		{fmt.Errorf("queue: %w", fullError{}), ErrOverloaded},
		{context.DeadlineExceeded, errGate},
		{fmt.Errorf("state: %w", fencedError{}), errGate},
	} {
		if got := classifyAdmit(c.err); !errors.Is(got, c.is) || class(t, got) != "not applied" {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

func TestClassifyJoin(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{errors.New("not the token"), ErrUnauthorized},
		{fmt.Errorf("no settings yet: %w", fencedError{}), errGate},
	} {
		if got := classifyJoin(c.err); !errors.Is(got, c.want) || !errors.Is(got, c.err) {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

// Each error keeps its class, and its identity where it has a name, over the hop.
func TestOutcomeOverTheHop(t *testing.T) {
	for _, c := range causes {
		wrapped := fmt.Errorf("doing something: %w", c.err)
		o, cause := outcomeOf(wrapped)
		back := errorOf(o, cause, wrapped.Error())
		if !errors.Is(back, c.err) {
			t.Errorf("%s: came back as %v", c.name, back)
		}
		if errors.Is(back, ErrNotApplied) != errors.Is(c.err, ErrNotApplied) || errors.Is(back, ErrOutcomeUnknown) {
			t.Errorf("%s: changed its class", c.name)
		}
	}
	for _, err := range []error{ErrOutcomeUnknown, unknownOutcome("x", raft.ErrLeadershipLost), errors.New("nobody knows me")} {
		o, cause := outcomeOf(err)
		if o != outcomeUnknown || class(t, errorOf(o, cause, "")) != "unknown" {
			t.Errorf("%v became %s", err, o)
		}
	}
	for _, err := range []error{ErrNotJoined, ErrStopped, ErrRemoved} {
		o, cause := outcomeOf(err)
		if back := errorOf(o, cause, ""); !isRetriable(back) {
			t.Errorf("%v of the node asked became %v", err, back)
		}
	}
	// What an old or broken node may say is never taken for certain.
	for _, o := range []outcome{"", "unknown", "applied", "refused", "NOT-APPLIED"} {
		if got := errorOf(o, "never heard of", ""); class(t, got) != "unknown" {
			t.Errorf("outcome %q: %v", o, got)
		}
	}
}
