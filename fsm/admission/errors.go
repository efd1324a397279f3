package admission

// Errors of Admit that say nothing about the proposal itself: sent again, it may be
// admitted. Any other error but the context's own means that the bytes can't be an
// entry. For callers that don't import this package, each has a method NotApplied()
// bool that returns true, and a method Overloaded() bool that returns true for ErrBusy:
// sent again at once, it would meet the same queue.
var (
	// ErrBusy means that as many syncs of the organization as may wait are waiting.
	ErrBusy error = &notAppliedError{text: "too many syncs of the organization are waiting", overloaded: true}
	// ErrTerm means that this process isn't the leader of that term, or no longer.
	ErrTerm error = &notAppliedError{text: "not the leader of this term"}
	// ErrState means that the state couldn't be read just now.
	ErrState error = &notAppliedError{text: "the state can't be read"}
)

type notAppliedError struct {
	text       string
	overloaded bool
}

func (e *notAppliedError) Error() string { return e.text }

// NotApplied is true: nothing of the proposal went to the log.
func (e *notAppliedError) NotApplied() bool { return true }

// Overloaded is true where a bound has been reached.
func (e *notAppliedError) Overloaded() bool { return e.overloaded }
