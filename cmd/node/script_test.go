package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"pipesync/internal/testcluster"
)

// TestScripts runs the binary as people and programs do. $NODE is the address of
// a server that answers as a node would, and $DEAD one where nobody listens.
// The command 'rc' wants an exact exit code.
func TestScripts(t *testing.T) {
	t.Parallel()
	node := httptest.NewServer(cannedAPI())
	t.Cleanup(node.Close)
	dead, err := testcluster.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("NODE", strings.TrimPrefix(node.URL, "http://"))
			e.Setenv("DEAD", dead[0])
			e.Setenv("PIPESYNC_ADMIN_TOKEN", "a-token-of-the-tests")
			e.Setenv("PIPESYNC_API_KEY", "psk_of_the_tests")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"rc": wantExitCode},
	})
}

// wantExitCode is the script command: rc CODE COMMAND ARGS…
func wantExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: rc CODE COMMAND ARGS...")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = fmt.Sprint(exit.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("exit code is %s, want %s", code, args[0])
	}
}

// cannedAPI answers as a member of a cluster of two does, whose other node is down.
func cannedAPI() http.Handler {
	members := `[{"id":"n1","peer":"10.0.0.1:8801","http":"10.0.0.1:8800","voter":true,"leader":true,"alive":true,"version":"v1","clock_offset_ms":-12,"diverged":false,"lag_entries":0,"last_contact_ms":0},
		{"id":"n2","peer":"10.0.0.2:8801","http":"","voter":true,"leader":false,"alive":false,"version":"","clock_offset_ms":null,"diverged":false,"lag_entries":12,"last_contact_ms":61000}]`
	ring := `{"revision":2,"rotating":true,"keys":[{"fingerprint":"0f3c9a5b7d1e2f48","primary":true,"added_at":"2026-01-02T03:04:05Z","held_by":["n1","n2"],"used_by":["n1"]},
			{"fingerprint":"a1b2c3d4e5f60718","primary":false,"added_at":"2026-06-02T03:04:05Z","held_by":["n1"],"used_by":[]}],"waiting_for":["n2"],"dead":["n9"]}`
	replies := map[string]string{
		"GET /v1/admin/gossip-keys":         ring,
		"POST /v1/admin/gossip-keys/rotate": ring,
		"GET /v1/admin/status": `{"node_id":"n1","cluster_id":"c1","version":"v1","role":"leader","term":4,
			"leader":{"id":"n1","peer":"10.0.0.1:8801","http":"10.0.0.1:8800"},"applied_index":7,"commit_index":8,"last_log_index":9,
			"voters":2,"failures_tolerated":0,"insecure":false,"certificate":{"not_after":"2026-05-30T12:00:00Z","trusted_cas":["ab"]},"ca_rotation":{"phase":"issue","ca_sha256":"ab","begun_at":"2026-01-02T03:04:05Z","phase_at":"2026-01-02T03:04:06Z","waiting_for":[{"node_id":"n2","reason":"it does not answer"}]},"ready":true,"last_contact_ms":0,"disk":{"directory":"/data","free_bytes":1610612736,"total_bytes":107374182400,"min_free_bytes":1000},"sizes":{"log_file_bytes":67108864,"log_since_snapshot_bytes":2048,"snapshot_bytes":0,"state_bytes":null},"usage":{"records":3,"bytes":2,"tombstones":1,"namespaces":4,"digest":"00ff"},"alarms":[],"state":{"cluster_version":1,"index":7,"mark":null,"scrub":null},"members":` + members + `}`,
		"GET /v1/admin/members":          `{"members":` + members + `}`,
		"POST /v1/admin/members/join":    `{"node_id":"n3","cluster_id":"c1","voter":true}`,
		"POST /v1/admin/scrub":           `{"index":7}`,
		"POST /v1/admin/leader/transfer": `{"leader_id":"n2"}`,
		"POST /v1/admin/keys": `{"key":"psk_secret","key_id":"key_1","organization_id":"org_a","vector_store_id":"vs_a",
			"name":"n","actions":["read","upsert"],"vector_store_ids":null,"namespaces":["a*","b","c","d"],"created_at":"2026-01-02T03:04:05Z",
			"expires_at":"2026-04-02T03:04:05Z"}`,
		"GET /v1/admin/keys": `{"keys":[{"key_id":"key_1","organization_id":"org_a","vector_store_id":null,"name":"",
			"actions":null,"vector_store_ids":["vs_a","vs_b"],"namespaces":null,"created_at":"2026-01-02T03:04:05Z",
			"expires_at":null,"revoked_at":"2026-02-02T03:04:05Z"}],"next_cursor":"next"}`,
		"POST /v1/admin/keys/key_1/rotate": `{"key":"psk_secret","key_id":"key_9","organization_id":"org_a","vector_store_id":null,"name":"",
			"actions":null,"vector_store_ids":null,"namespaces":null,"created_at":"2026-01-02T03:04:05Z","expires_at":null,
			"previous":{"key_id":"key_1","organization_id":"org_a","vector_store_id":null,"name":"",
			"actions":null,"vector_store_ids":null,"namespaces":null,"created_at":"2026-01-02T03:04:05Z",
			"expires_at":"2026-01-03T03:04:05Z","revoked_at":null,"rotated_to":"key_9"}}`,
		"POST /v1/admin/ca/rotate":     `{"ca_sha256":"cd"}`,
		"POST /v1/admin/tokens":        `{"token":"jt_1.secret.ab","token_id":"jt_1","expires_in_seconds":3600}`,
		"GET /v1/admin/tokens":         `{"tokens":[{"token_id":"jt_1","created_at":"2026-01-02T03:04:05Z","expires_in_seconds":90,"used_by":"n2"}],"next_cursor":null}`,
		"DELETE /v1/admin/tokens/jt_1": `{"token_id":"jt_1","revoked":true}`,
		"DELETE /v1/admin/keys/key_1":  `{"key_id":"key_1","revoked":true,"index":7}`,
		"POST /v1/admin/stores":        `{"organization_id":"org_a","vector_store_id":"vs_a","created":true}`,
		"GET /v1/admin/organizations": `{"organizations":[{"organization_id":"org_a","created_at":"2026-01-02T03:04:05Z",
			"usage":{"records":3,"bytes":2,"tombstones":1,"namespaces":4,"digest":"00ff"}}],"next_cursor":null}`,
		"DELETE /v1/admin/organizations/org_a": `{"organization_id":"org_a","deleted":true}`,
		"DELETE /v1/admin/stores/vs_a":         `{"organization_id":"org_a","vector_store_id":"vs_a","deleted":true}`,
		"GET /v1/admin/stores": `{"stores":[{"organization_id":"org_a","vector_store_id":"vs_a","created_at":"2026-01-02T03:04:05Z",
			"usage":{"records":3,"bytes":2,"tombstones":1,"namespaces":4,"digest":"00ff"}}],"next_cursor":null}`,
		"GET /v1/vector-stores/vs_a/namespaces": `{"namespaces":[{"name":"tasks","records":3,"bytes":40,"digest":"00ff","generation":2,
			"index":9,"updated_at":"2026-01-02T03:04:05Z"}],"next_cursor":"next"}`,
		"GET /v1/vector-stores/vs_b/namespaces":        `{"namespaces":null,"next_cursor":null}`,
		"DELETE /v1/vector-stores/vs_a/namespaces/a/b": `{"vector_store_id":"vs_a","namespace":"a/b","deleted":true,"index":10}`,
		"GET /v1/pipeline/checkpoints/crm/c":           `{"pipeline":"crm/c","state":{"n":1},"sync_id":"sync_1","index":7,"updated_at":"2026-01-02T03:04:05Z"}`,
		"DELETE /v1/pipeline/checkpoints/crm/c":        `{"pipeline":"crm/c","deleted":true,"index":8}`,
		"GET /v1/admin/limits/org_a":                   `{"organization_id":"org_a","limits":{"requests_per_window":0},"effective":{"requests_per_window":100},"usage":{"records":3,"bytes":2,"tombstones":1,"namespaces":4,"digest":"00ff"}}`,
		"PATCH /v1/admin/limits/org_a":                 `{"organization_id":"org_a","limits":{"requests_per_window":300},"effective":{"requests_per_window":300}}`,
		"GET /v1/admin/settings":                       `{"requests_per_window":100,"window_ms":60060}`,
		"PATCH /v1/admin/settings":                     `{"requests_per_window":300,"window_ms":60060}`,
	}
	refusals := map[string]string{
		"DELETE /v1/admin/members/n1": `{"success":false,"error":{"code":"QUORUM_AT_RISK","message":"1 of 2 voters is alive, and 2 are needed",
			"status":409,"retryable":false,"request_id":"req_42"}}`,
		"DELETE /v1/vector-stores/vs_a/namespaces/none": `{"success":false,"error":{"code":"NAMESPACE_NOT_FOUND","message":"no such namespace",
			"status":404,"retryable":false,"request_id":"req_44"}}`,
		"DELETE /v1/admin/keys/key_2": `{"success":false,"error":{"code":"KEY_NOT_FOUND","message":"no such key","status":404,"retryable":false,"request_id":"req_43"}}`,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := r.Method + " " + r.URL.Path
		switch {
		case !strings.HasPrefix(r.URL.Path, "/v1/admin/") && r.Header.Get("X-API-Key") != "psk_of_the_tests":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"success":false,"error":{"code":"INVALID_API_KEY","message":"unknown","status":401,"retryable":false}}`)
		case strings.HasPrefix(r.URL.Path, "/v1/admin/") && r.Header.Get("Authorization") != "Bearer a-token-of-the-tests":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"success":false,"error":{"code":"INVALID_ADMIN_TOKEN","message":"wrong token","status":401,"retryable":false}}`)
		case replies[route] != "":
			_, _ = io.WriteString(w, replies[route])
		case refusals[route] != "":
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, refusals[route])
		default:
			http.NotFound(w, r)
		}
	})
}
