package cluster

import (
	"context"
	"testing"
	"time"
)

// Whoever waits to try again doesn't wait longer than for the next leader.
func TestAPauseEndsWithTheNextLeader(t *testing.T) {
	n := &Node{core: &core{succession: newSuccession()}}
	again := n.retries()
	again.delay = time.Hour
	n.core.succession.tell()
	ctx, cancel := context.WithTimeout(t.Context(), awaitTime)
	defer cancel()
	if !again.pause(ctx) {
		t.Fatal("it waited on")
	}
	if again.delay != minRetryDelay {
		t.Errorf("the next pause would be %v", again.delay)
	}
}
