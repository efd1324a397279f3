package main

import (
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
	n2 := serveNode(t, filepath.Join(dir, "n2"), "", "--node-id", "n2")
	var token client.NewToken
	mustCommand(t, n1.admin(), &token, "tokens", "create")
	mustCommand(t, n2.admin(), nil, "join", n1.Peer, "--token", token.Token)

	var keys client.GossipKeys
	await(t, "both to have the first key", func() bool {
		mustCommand(t, n2.admin(), &keys, "gossip-keys", "list")
		return keys.Revision == 1 && len(keys.WaitingFor) == 0
	})
	old := keys.Keys[0].Fingerprint
	await(t, "both to see each other", func() bool {
		var members client.Members
		mustCommand(t, n2.admin(), &members, "members")
		return len(members.Members) == 2 && !slices.ContainsFunc(members.Members, func(m client.Member) bool { return !m.Alive })
	})
	mustCommand(t, n2.admin(), &keys, "gossip-keys", "rotate")
	if keys.Rotating || keys.Revision != 4 || len(keys.Keys) != 1 || keys.Keys[0].Fingerprint == old || !keys.Keys[0].Primary {
		t.Errorf("rotated: %+v", keys)
	}
}

// await returns when holds does.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(maxTestWait); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
