package certs

import (
	"errors"
	"testing"
	"time"
)

// A certificate is refused for its time only where no clock has it valid, on both sides.
func TestOneClockThatIsRightWillDo(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, testCluster)
	right, early, late := &clock{at: start}, &clock{at: start.Add(-time.Hour)}, &clock{at: start.Add(2 * NodeLife)}
	n1, n2 := storeOf(t, issue(t, ours, "n1"), right, ours), storeOf(t, issue(t, ours, "n2"), right, ours)
	for _, c := range []struct {
		name   string
		clocks clocks
		valid  bool
	}{
		{"the first", clocks{right.now, early.now}, true},
		{"the second", clocks{early.now, right.now}, true},
		{"the second, of one that is far ahead", clocks{late.now, right.now}, true},
		{"none", clocks{early.now, late.now}, false},
	} {
		n1.clocks = c.clocks
		_, err := handshake(t, n1.ClientConfig(n2.Self()), n2.ServerConfig())
		if (err == nil) != c.valid || !c.valid && !errors.Is(err, ErrNotValidNow) {
			t.Errorf("%s: dialling: %v", c.name, err)
		}
		state, err := handshake(t, n2.ClientConfig(n1.Self()), n1.ServerConfig())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n1.Peer(state, n2.Self()); (err == nil) != c.valid || !c.valid && !errors.Is(err, ErrNotValidNow) {
			t.Errorf("%s: being dialled: %v", c.name, err)
		}
	}
	// Another reason to refuse it is told whatever the clocks say.
	n1.clocks = clocks{early.now, right.now}
	if _, err := handshake(t, n1.ClientConfig(Identity{testCluster, "n3"}), n2.ServerConfig()); !errors.Is(err, ErrWrongNode) {
		t.Errorf("another node: %v", err)
	}
}
