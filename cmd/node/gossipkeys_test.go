package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pipesync/client"
)

// A cluster makes its gossip key itself, who joins gets it with the state, and it is
// replaced while all goes on.
func TestGossipKeysOfACluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n1 := serveNode(t, filepath.Join(dir, "n1"), "", "--bootstrap", "--node-id", "n1")
	n1.awaitReady()
	var token client.NewToken
	n1.awaitCommand("a token", &token, func() bool { return true }, "tokens", "create")
	n2 := serveNode(t, filepath.Join(dir, "n2"), "", "--node-id", "n2", "--join", n1.Peer, "--join-token", token.Token)
	n2.awaitReady()

	var keys client.GossipKeys
	n2.awaitCommand("both to have the first key", &keys, func() bool { return keys.Revision == 1 && len(keys.WaitingFor) == 0 },
		"gossip-keys", "list")
	old := keys.Keys[0].Fingerprint
	var members client.Members
	n2.awaitCommand("both to see each other", &members, func() bool {
		return len(members.Members) == 2 && !slices.ContainsFunc(members.Members, func(m client.Member) bool { return !m.Alive })
	}, "members")
	n2.awaitCommand("a rotation", &keys, func() bool { return true }, "gossip-keys", "rotate")
	if keys.Rotating || len(keys.WaitingFor) > 0 || keys.Revision < 4 || len(keys.Keys) != 1 || keys.Keys[0].Fingerprint == old || !keys.Keys[0].Primary {
		t.Errorf("rotated: %+v", keys)
	}
}

// awaitCommand gives a command until it succeeds and holds says that its output is
// right: a busy machine may elect another leader at any time.
func (s *testServer) awaitCommand(what string, out any, holds func() bool, args ...string) {
	s.t.Helper()
	for deadline := time.Now().Add(maxTestWait); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		code, stdout, _ := command(s.t, s.admin(), append(args, "-o", "json")...)
		if code == exitOK && json.Unmarshal([]byte(stdout), out) == nil && holds() {
			return
		}
	}
	s.t.Fatalf("never: %s; last %+v", what, out)
}
