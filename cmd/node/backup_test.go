package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipesync/client"
)

// A backup becomes a cluster of another size, which has what the old one had, and
// goes on from there.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	old := serveNode(t, filepath.Join(dir, "old"), gossipKey, "--bootstrap", "--node-id", "n1")
	before := old.awaitReady()
	var key client.NewKey
	mustCommand(t, old.admin(), &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a")
	push(t, old.HTTP, key.Key, "org_a", "docs", "1")

	file := filepath.Join(dir, "backup")
	var taken, inspected backupSummary
	mustCommand(t, old.admin(), &taken, "backup", file)
	if taken.ClusterID != before.ClusterID || taken.Node != "n1" || taken.Index == 0 || taken.StateBytes == 0 {
		t.Errorf("the backup is of %+v", taken)
	}
	mustCommand(t, nil, &inspected, "backup", "inspect", file)
	if inspected != taken {
		t.Errorf("inspected it is of %+v, taken of %+v", inspected, taken)
	}
	code, stdout, stderr := command(t, old.admin(), "backup", "-")
	if code != exitOK || len(stdout) == 0 {
		t.Errorf("a backup to the standard output: %d, %d bytes, %s", code, len(stdout), stderr)
	}
	code, _, stderr = command(t, old.admin(), "backup", file)
	if code != exitLocal || !strings.Contains(stderr, file+" is there already") {
		t.Errorf("over a backup: %d, %s", code, stderr)
	}
	push(t, old.HTTP, key.Key, "org_a", "docs", "after")
	old.terminate()

	restored := filepath.Join(dir, "restored")
	env := map[string]string{"PIPESYNC_DATA_DIR": restored, "PIPESYNC_GOSSIP_KEY": gossipKey, "PIPESYNC_NODE_ID": "m1"}
	var seeded backupSummary
	mustCommand(t, env, &seeded, "restore", file)
	if seeded.ClusterID == before.ClusterID || seeded.Epoch == taken.Epoch || seeded.Index != taken.Index {
		t.Errorf("restored is %+v", seeded)
	}
	code, _, stderr = command(t, env, "restore", file)
	if code != exitLocal || !strings.Contains(stderr, "a restore replaces nothing") {
		t.Errorf("over a node: %d, %s", code, stderr)
	}
	m1 := serveNode(t, restored, gossipKey, "--node-id", "m1")
	after := m1.awaitReady()
	if after.ClusterID != seeded.ClusterID || after.Voters != 1 || after.Term <= taken.Term || after.AppliedIndex < taken.Index {
		t.Errorf("it goes on as %+v", after)
	}
	m2 := m1.joinedBy("m2")
	m2.awaitReady()
	wantRecord(t, m2.HTTP, key.Key, "vs_a", "docs", "1")
	push(t, m2.HTTP, key.Key, "org_a", "docs", "2")
	wantRecord(t, m1.HTTP, key.Key, "vs_a", "docs", "2")
	api := client.New(client.Options{Addrs: []string{m1.HTTP}, APIKey: key.Key})
	defer api.Close()
	if page, err := api.Records(t.Context(), "vs_a", "docs", client.ReadOptions{}); err != nil || len(page.Records) != 2 {
		t.Errorf("records: %+v, %v", page, err)
	}
	m1.terminate()
	again := serveNode(t, restored, gossipKey, "--node-id", "m1")
	again.awaitReady()
	wantRecord(t, again.HTTP, key.Key, "vs_a", "docs", "2")
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("this is no backup"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PIPESYNC_DATA_DIR": filepath.Join(dir, "data"), "PIPESYNC_GOSSIP_KEY": mintGossipKey()}
	for _, args := range [][]string{{"restore", bad}, {"backup", "inspect", bad}} {
		code, _, stderr := command(t, env, args...)
		if code != exitLocal || !strings.Contains(stderr, "it is no backup") {
			t.Errorf("%v: %d, %s", args, code, stderr)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
