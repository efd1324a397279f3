package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// awaitExit polls until status of a node exits with code and says why.
func (s *testServer) awaitExit(want int, why string) {
	s.t.Helper()
	var code int
	var stderr string
	for deadline := time.Now().Add(maxTestWait); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if code, _, stderr = command(s.t, s.admin(), "status"); code == want && strings.Contains(stderr, why) {
			return
		}
	}
	s.t.Fatalf("status of %s exits with %d and says %q, want %d and %q", s.NodeID, code, stderr, want, why)
}

// TestStatusOfAClusterThatLosesVoters: one that is gone degrades it, and so does a
// quorum that is; it heals by itself, which can be waited for.
func TestStatusOfAClusterThatLosesVoters(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--node-id", "n1")
	n1.awaitReady()
	n2, n3 := n1.joinedBy("n2"), n1.joinedBy("n3")
	n2.awaitReady()
	n3.awaitReady()
	for _, s := range []*testServer{n1, n2, n3} {
		s.awaitExit(exitOK, "")
	}
	n3.terminate()
	for _, s := range []*testServer{n1, n2} {
		s.awaitExit(exitDegraded, "voter n3 ("+n3.Peer+") is not alive")
	}
	n2.terminate()
	n1.awaitExit(exitDegraded, "no leader is known")
	again := []*testServer{n1}
	for _, s := range []*testServer{n2, n3} {
		again = append(again, serveNode(t, s.dir, gossipKey, "--peer-addr", s.Peer, "--gossip-addr", s.Gossip))
	}
	for _, s := range again {
		if code, _, stderr := command(t, s.admin(), "status", "--wait", "healthy"); code != exitOK {
			t.Errorf("waiting for %s to be healthy: %d, %s", s.NodeID, code, stderr)
		}
		s.awaitExit(exitOK, "")
	}
}
