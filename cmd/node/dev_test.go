package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDevComesBackWithItsKeyAndData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dev")
	args := []string{"dev", "-o", "json", "--http-port", strconv.Itoa(quietBase(t)), "--data-dir", dir}
	var first, second devInfo
	cluster := launch(t, nil, args...)
	cluster.firstLine(&first)
	if len(first.Nodes) != 3 || first.OrganizationID != "org_abc123" || first.VectorStoreID != "vs_demo" {
		t.Fatalf("it says %+v", first)
	}
	for _, n := range first.Nodes {
		push(t, n.HTTP, first.APIKey, first.OrganizationID, "docs", n.ID)
	}
	cluster.terminate()

	again := launch(t, nil, args...)
	again.firstLine(&second)
	if first.APIKey != second.APIKey || first.AdminToken != second.AdminToken {
		t.Errorf("the secrets changed:\n%s", cmp.Diff(first, second))
	}
	for _, n := range second.Nodes {
		for _, id := range []string{"node1", "node2", "node3"} {
			wantRecord(t, n.HTTP, second.APIKey, second.VectorStoreID, "docs", id)
		}
	}
	env := map[string]string{"PIPESYNC_ADMIN_TOKEN": second.AdminToken, "PIPESYNC_HTTP_ADDR": second.Nodes[0].HTTP}
	mustCommand(t, env, nil, "leave", "node3")
	mustCommand(t, env, nil, "members")
	again.terminate()

	// The directory of a cluster of three is not one of another size.
	code, _, stderr := command(t, nil, append(args, "--nodes", "2")...)
	if code != exitLocal {
		t.Errorf("with 2 nodes: %d, %s", code, stderr)
	}
	// The node that left stays out; the others come back without it.
	var third devInfo
	launch(t, nil, args...).firstLine(&third)
	if len(third.Nodes) != 2 {
		t.Errorf("it says %+v", third)
	}
}

func TestDevLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	cluster := launch(t, nil, "dev", "-o", "json", "--http-port", "0", "--nodes", "1")
	var info devInfo
	cluster.firstLine(&info)
	push(t, info.Nodes[0].HTTP, info.APIKey, info.OrganizationID, "docs", "1")
	cluster.terminate()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
