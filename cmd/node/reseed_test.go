package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipesync/client"
)

// The member that formed the cluster has a disk that rots. It begins anew under its id,
// once it has been taken out, and forms no second cluster meanwhile.
func TestReseed(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--node-id", "n1")
	before := n1.awaitReady()
	var key client.NewKey
	mustCommand(t, n1.admin(), &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a")
	n2, n3 := n1.joinedBy("n2"), n1.joinedBy("n3")
	n2.awaitReady()
	n3.awaitReady()
	push(t, n2.HTTP, key.Key, "org_a", "docs", "1")
	admin := map[string]string{"PIPESYNC_HTTP_ADDR": n2.HTTP, "PIPESYNC_ADMIN_TOKEN_FILE": n1.adminTokenFile()}

	if code, _, stderr := command(t, n1.env, "reseed", "--yes"); code != exitLocal || !strings.Contains(stderr, "uses "+n1.dir+" already") {
		t.Errorf("while it runs: %d, %s", code, stderr)
	}
	n1.terminate()
	rotted := filepath.Join(n1.dir, stateName, "QUARANTINE")
	if err := os.WriteFile(rotted, []byte("000004.sst has rotted\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command(t, n1.env, "serve", "--node-id", "n1"); code != exitLocal || !strings.Contains(stderr, "pipesync reseed") {
		t.Errorf("a start with what has rotted: %d, %s", code, stderr)
	}
	if code, _, stderr := command(t, n1.env, "reseed"); code != exitLocal || !strings.Contains(stderr, "--yes") {
		t.Errorf("without --yes: %d, %s", code, stderr)
	}
	var done reseeded
	mustCommand(t, n1.env, &done, "reseed", "--yes")
	if done.NodeID != "n1" || done.ClusterID != before.ClusterID {
		t.Errorf("reseeded is %+v", done)
	}
	if _, err := os.Stat(filepath.Join(done.Kept, stateName, "QUARANTINE")); err != nil {
		t.Errorf("the old directory: %v", err)
	}
	if code, _, stderr := command(t, n1.env, "reseed", "--yes"); code != exitLocal || !strings.Contains(stderr, "earlier time") {
		t.Errorf("a second time: %d, %s", code, stderr)
	}

	again := serveNode(t, n1.dir, gossipKey, "--bootstrap")
	again.awaitLog("it joins the cluster that it was a member of")
	join := []string{"join", n3.Peer, "--token-file", n1.adminTokenFile(), "--timeout", "60s"}
	if code, _, stderr := command(t, again.admin(), join...); code != exitRemote || !strings.Contains(stderr, "NODE_ID_TAKEN") {
		t.Errorf("it joins while it is a member: %d, %s", code, stderr)
	}
	mustCommand(t, admin, nil, "leave", "n1")
	mustCommand(t, again.admin(), nil, join...)
	status := again.awaitReady()
	if status.NodeID != "n1" || status.ClusterID != before.ClusterID || status.Voters != 3 {
		t.Errorf("it goes on as %+v", status)
	}
	wantRecord(t, again.HTTP, key.Key, "vs_a", "docs", "1")
	push(t, again.HTTP, key.Key, "org_a", "docs", "2")
	again.terminate()
	serveNode(t, n1.dir, gossipKey, "--bootstrap").awaitReady() // as any member
}

func TestReseedRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"PIPESYNC_DATA_DIR": filepath.Join(dir, "none"), "PIPESYNC_GOSSIP_KEY": mintGossipKey()}
	if code, _, stderr := command(t, env, "reseed", "--yes"); code != exitLocal || !strings.Contains(stderr, "no such file") {
		t.Errorf("no directory: %d, %s", code, stderr)
	}
	unjoined := serveNode(t, filepath.Join(dir, "unjoined"), mintGossipKey(), "--node-id", "n1")
	unjoined.terminate()
	if code, _, stderr := command(t, unjoined.env, "reseed", "--yes"); code != exitLocal || !strings.Contains(stderr, "node n1 is a member of no cluster") {
		t.Errorf("a member of nothing: %d, %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(unjoined.dir, "identity.json")); err != nil {
		t.Errorf("it is not as it was: %v", err)
	}
}
