package fsm

import "testing"

// TestDirectoryItselfIsDurable: a flush is worth nothing in a directory that a
// crash takes.
func TestDirectoryItselfIsDurable(t *testing.T) {
	r := newCrashingRig(t)
	r.setUp(10)
	must(t, r.fsm.Flush())
	r.crash().expectApplied("flushed", 12)
}
