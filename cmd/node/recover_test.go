package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipesync/client"
)

// Of three members two are lost. The third becomes a cluster that has all that it
// had, with its admin token; the others can't come back into it.
func TestRecover(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--node-id", "n1")
	before := n1.awaitReady()
	var key client.NewKey
	mustCommand(t, n1.admin(), &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a")
	var others []*testServer
	for _, id := range []string{"n2", "n3"} {
		n := n1.joinedBy(id)
		n.awaitReady()
		others = append(others, n)
	}
	push(t, n1.HTTP, key.Key, "org_a", "docs", "1")
	wantRecord(t, others[0].HTTP, key.Key, "vs_a", "docs", "1")
	for _, n := range others {
		n.terminate()
	}
	code, _, stderr := command(t, n1.env, "recover", "--yes")
	if code != exitLocal || !strings.Contains(stderr, "uses "+n1.dir+" already") {
		t.Errorf("while it runs: %d, %s", code, stderr)
	}
	n1.terminate()

	code, _, stderr = command(t, n1.env, "recover")
	if code != exitLocal || !strings.Contains(stderr, "--yes") {
		t.Errorf("without --yes: %d, %s", code, stderr)
	}
	var done recovered
	mustCommand(t, n1.env, &done, "recover", "--yes")
	if done.NodeID != "n1" || done.OldClusterID != before.ClusterID || done.ClusterID == before.ClusterID || done.Index < before.AppliedIndex {
		t.Errorf("recovered is %+v", done)
	}
	if _, err := os.Stat(filepath.Join(done.Kept, "identity.json")); err != nil {
		t.Errorf("the old directory: %v", err)
	}
	again := serveNode(t, n1.dir, gossipKey, "--node-id", "n1")
	status := again.awaitReady()
	if status.ClusterID != done.ClusterID || status.Voters != 1 || status.Term <= done.Term {
		t.Errorf("it goes on as %+v", status)
	}
	wantRecord(t, again.HTTP, key.Key, "vs_a", "docs", "1")
	fresh := again.joinedBy("n4")
	fresh.awaitReady()
	push(t, fresh.HTTP, key.Key, "org_a", "docs", "2")

	back := serveNode(t, others[0].dir, gossipKey)
	code, _, stderr = command(t, map[string]string{"PIPESYNC_HTTP_ADDR": back.HTTP, "PIPESYNC_DATA_DIR": n1.dir}, "join", again.Peer, "--token-file", n1.adminTokenFile())
	if code != exitRemote || !strings.Contains(stderr, "ALREADY_JOINED") {
		t.Errorf("a member of the old cluster joins: %d, %s", code, stderr)
	}
	code, _, stderr = command(t, n1.env, "recover", "--yes")
	if code != exitLocal || !strings.Contains(stderr, "earlier time") {
		t.Errorf("a second time: %d, %s", code, stderr)
	}
}

func TestRecoverRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"PIPESYNC_DATA_DIR": filepath.Join(dir, "none"), "PIPESYNC_GOSSIP_KEY": mintGossipKey()}
	if code, _, stderr := command(t, env, "recover", "--yes"); code != exitLocal || !strings.Contains(stderr, "no such file") {
		t.Errorf("no directory: %d, %s", code, stderr)
	}
	unjoined := serveNode(t, filepath.Join(dir, "unjoined"), mintGossipKey(), "--node-id", "n1")
	unjoined.terminate()
	if code, _, stderr := command(t, unjoined.env, "recover", "--yes"); code != exitLocal || !strings.Contains(stderr, "node n1 is a member of no cluster") {
		t.Errorf("a member of nothing: %d, %s", code, stderr)
	}
}
