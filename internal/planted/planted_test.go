//go:build !planted

package planted_test

import (
	"testing"

	"pipesync/internal/planted"
)

// TestNothingIsLiveWithoutTheTag is of the program that is shipped: there the
// environment has no say.
func TestNothingIsLiveWithoutTheTag(t *testing.T) {
	t.Setenv(planted.Variable, string(planted.NoTermFence))
	if planted.Is(planted.NoTermFence) {
		t.Error("a planted bug is live in a program that was built without the tag")
	}
}
