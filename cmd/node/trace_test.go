package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"pipesync/client"
)

// A request is found in the logs of the node that took it and of the leader, by its
// id and its trace.
func TestARequestIsFoundInTheLogsOfBothNodes(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--node-id", "n1", "--log-format", "json")
	n1.awaitReady()
	n2 := n1.joinedBy("n2", "--log-format", "json")
	n2.awaitReady()
	var key client.NewKey
	mustCommand(t, n1.admin(), &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a")
	leader, follower := n1, n2
	if n2.awaitReady().Role == "leader" {
		leader, follower = n2, n1
	}

	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for id, flags := range map[string]string{"asked-for": "01", "not-asked-for": "00"} {
		body := `{"organization_id":"org_a","sync_mode":"incremental","operations":[{"action":"upsert","id":"1","namespace":"docs"}]}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, follower.HTTP+"/v1/pipeline/sync", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", key.Key)
		r.Header.Set("X-Request-ID", id)
		r.Header.Set("traceparent", "00-"+trace+"-00f067aa0ba902b7-"+flags)
		reply, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			t.Fatalf("status %d", reply.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	// Lines are written when the reply has gone.
	follower.terminate()
	leader.terminate()
	if line := logLine(t, follower, "request", "asked-for"); line["trace_id"] != trace || line["route"] != "POST /v1/pipeline/sync" {
		t.Errorf("the log of the node that was asked has %v", line)
	}
	if line := logLine(t, leader, "operation of another member", "asked-for"); line["trace_id"] != trace || line["operation"] != "propose" || line["outcome"] != "decided" {
		t.Errorf("the leader's log has %v", line)
	}
	if line := logLine(t, leader, "operation of another member", "not-asked-for"); line != nil {
		t.Errorf("the leader's log has %v, of a trace that isn't sampled", line)
	}
}

// logLine is that of a request, nil where there is none.
func logLine(t *testing.T, s *testServer, message, requestID string) map[string]any {
	t.Helper()
	for text := range strings.Lines(s.stderr.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if line["msg"] == message && line["request_id"] == requestID {
			return line
		}
	}
	return nil
}
