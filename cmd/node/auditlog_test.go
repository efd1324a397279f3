package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipesync/client"
)

func TestServeKeepsAnAuditLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n1 := serveNode(t, filepath.Join(dir, "n1"), mintGossipKey(), "--bootstrap", "--node-id", "n1", "--audit-file", filepath.Join(dir, "audit", "log"))
	n1.awaitReady()
	var key client.NewKey
	mustCommand(t, n1.admin(), &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a")
	mustCommand(t, n1.admin(), nil, "keys", "revoke", key.KeyID)
	c := client.New(client.Options{Addrs: []string{n1.HTTP}, APIKey: key.Key})
	defer c.Close()
	if _, err := c.Record(context.Background(), "vs_a", "n", "1", client.ReadOptions{}); err == nil {
		t.Error("a revoked key reads")
	}
	n1.terminate()
	text := string(mustRead(t, filepath.Join(dir, "audit", "log")))
	var got []string
	for line := range strings.Lines(text) {
		var e struct {
			Event, Node, Actor, Action, Code string
			Target                           map[string]string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Node != "n1" {
			t.Fatalf("%s: %v", line, err)
		}
		actor, _, _ := strings.Cut(e.Actor, ":")
		got = append(got, strings.Join([]string{e.Event, actor, e.Action, e.Code, e.Target["organization_id"]}, " "))
	}
	want := []string{
		"admin admin-token POST /v1/admin/keys  org_a",
		"admin admin-token DELETE /v1/admin/keys/:key  ",
		"refused key GET /v1/vector-stores/:store/namespaces/:namespace/records/:id INVALID_API_KEY ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("it has\n%s", strings.Join(got, "\n"))
	}
	_, secret, _ := strings.Cut(strings.TrimPrefix(key.Key, "psk_"), "_")
	for _, hidden := range []string{secret, strings.TrimSpace(string(mustRead(t, n1.adminTokenFile())))} {
		if hidden == "" || strings.Contains(text, hidden) {
			t.Errorf("it has a secret: %s", text)
		}
	}
}
