package fsm

import "testing"

// TestDirectoryItselfIsDurable: a flush is worth nothing in a directory that a
// crash takes.
func TestDirectoryItselfIsDurable(t *testing.T) {
	disk, err := newCrashDisk()
	must(t, err)
	r := crashRig(t, 1, crashDisk{disk})
	r.open()
	r.setUp(10)
	must(t, r.fsm.Flush())
	crashed := crashRig(t, 1, crashDisk{disk.Crash(0, nil)})
	crashed.open()
	crashed.expectApplied("flushed", 12)
	crashed.close()
	r.close()
}
