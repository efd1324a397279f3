package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"pipesync/client"
)

// takes wants that the node takes the token, or refuses it, as soon as it has heard of it.
func (s *testServer) takes(token string, want bool) {
	s.t.Helper()
	env := map[string]string{"PIPESYNC_HTTP_ADDR": s.HTTP, "PIPESYNC_ADMIN_TOKEN": token}
	s.await("the node to judge the token", func() bool {
		code, _, stderr := command(s.t, env, "settings", "get")
		if code != exitOK && !strings.Contains(stderr, "INVALID_ADMIN_TOKEN") {
			return false
		}
		return (code == exitOK) == want
	})
}

// TestOneAdminTokenForAllNodes: after a rotation no token of before is good anywhere, and
// the new one is everywhere; lost, it is replaced on the disk of any member.
func TestOneAdminTokenForAllNodes(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--node-id", "n1")
	n1.awaitReady()
	n2, n3 := n1.joinedBy("n2"), n1.joinedBy("n3")
	all := []*testServer{n1, n2, n3}
	of := func(s *testServer) string { return strings.TrimSpace(string(mustRead(t, s.adminTokenFile()))) }
	var before []string
	for _, s := range all {
		s.awaitReady()
		before = append(before, of(s))
		s.takes(of(s), true)
	}
	n2.takes(before[0], true)
	n2.takes(before[2], false)
	n2.await("the cluster's version", func() bool {
		code, _, stderr := command(t, n2.admin(), "admin-token", "rotate", "--out", filepath.Join(dir, "rotated"))
		if code != exitOK && !strings.Contains(stderr, "CLUSTER_TOO_OLD") {
			t.Fatalf("%d, %s", code, stderr)
		}
		return code == exitOK
	})
	rotated := strings.TrimSpace(string(mustRead(t, filepath.Join(dir, "rotated"))))
	for _, s := range all {
		s.takes(rotated, true)
		for _, old := range before {
			s.takes(old, false)
		}
	}
	// Tokens and members alike are by the new one.
	env := map[string]string{"PIPESYNC_HTTP_ADDR": n3.HTTP, "PIPESYNC_ADMIN_TOKEN": rotated}
	var token client.NewToken
	mustCommand(t, env, &token, "tokens", "create")

	// It is lost. A member that runs can't have another; one that is stopped can.
	code, _, stderr := command(t, n3.env, "recover", "admin-token")
	if code != exitLocal || !strings.Contains(stderr, "next: stop the member first") {
		t.Errorf("a member that runs: %d, %s", code, stderr)
	}
	n3.terminate()
	var recovered recoveredToken
	mustCommand(t, n3.env, &recovered, "recover", "admin-token")
	if recovered.NodeID != "n3" || recovered.AdminTokenFile != n3.adminTokenFile() || of(n3) == before[2] {
		t.Errorf("recovered %+v", recovered)
	}
	n1.takes(rotated, true) // until the member runs
	again := serveNode(t, n3.dir, gossipKey)
	for _, s := range []*testServer{n1, n2, again} {
		s.takes(of(n3), true)
		s.takes(rotated, false)
	}
	again.awaitLog("the cluster's admin token is the one that was recovered")
	if _, err := os.Stat(filepath.Join(n3.dir, recoveredTokenName)); !os.IsNotExist(err) {
		t.Errorf("it would be set again: %v", err)
	}
	again.terminate()
	if text := string(mustRead(t, filepath.Join(n3.dir, auditLogName))); !strings.Contains(text, `"action":"recover admin-token"`) {
		t.Errorf("the audit log has %s", text)
	}
}

// Whose answer is lost has the token still, and learns by it whether it is in force.
func TestAdminTokenRotationWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]bool{"done": true, "not done": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 {
					panic(http.ErrAbortHandler)
				}
				if !done {
					w.WriteHeader(http.StatusUnauthorized)
					_, _ = io.WriteString(w, `{"success":false,"error":{"code":"INVALID_ADMIN_TOKEN","message":"wrong","status":401}}`)
					return
				}
				_, _ = io.WriteString(w, `{"fingerprint":"`+r.Header.Get("Authorization")[:10]+`","changes":1}`)
			}))
			t.Cleanup(api.Close)
			out := filepath.Join(t.TempDir(), "token")
			env := map[string]string{"PIPESYNC_HTTP_ADDR": api.URL, "PIPESYNC_ADMIN_TOKEN": "the one of before"}
			code, stdout, stderr := command(t, env, "admin-token", "rotate", "--out", out)
			if text := strings.TrimSpace(string(mustRead(t, out))); !strings.HasPrefix(text, "pat_") || strings.Contains(stdout, text) {
				t.Errorf("the file has %q, and stdout %s", text, stdout)
			}
			if done && (code != exitOK || !strings.Contains(stdout, "in "+out)) {
				t.Errorf("%d, %s, %s", code, stdout, stderr)
			}
			if !done && (code != exitRemote || !strings.Contains(stderr, "may be in force or not") || !strings.Contains(stderr, "next: pipesync status with the new one")) {
				t.Errorf("%d, %s, %s", code, stdout, stderr)
			}
		})
	}
}

// What is refused leaves no file.
func TestAdminTokenRotationThatIsRefused(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"success":false,"error":{"code":"CLUSTER_TOO_OLD","message":"old","status":409}}`)
	}))
	t.Cleanup(api.Close)
	out := filepath.Join(t.TempDir(), "token")
	code, _, stderr := command(t, map[string]string{"PIPESYNC_HTTP_ADDR": api.URL, "PIPESYNC_ADMIN_TOKEN": "the one of before"}, "admin-token", "rotate", "--out", out)
	if _, err := os.Stat(out); code != exitRemote || !os.IsNotExist(err) {
		t.Errorf("%d, %v, %s", code, err, stderr)
	}
}

// Where a node goes on in another directory, a token that was recovered goes with it.
func TestARecoveredTokenIsCopied(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	if err := copyAdminToken(from, to); err != nil {
		t.Fatalf("there is none: %v", err)
	}
	for _, name := range []string{adminTokenName, recoveredTokenName} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyAdminToken(from, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{adminTokenName, recoveredTokenName} {
		if text := string(mustRead(t, filepath.Join(to, name))); text != name+"\n" {
			t.Errorf("%s has %q", name, text)
		}
	}
}

func TestAdminTokenOfNoCluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := serveNode(t, filepath.Join(dir, "n"), mintGossipKey())
	n.terminate()
	code, _, stderr := command(t, n.env, "recover", "admin-token")
	if code != exitLocal || !strings.Contains(stderr, "is a member of no cluster") || !strings.Contains(stderr, "next: its own is in "+n.adminTokenFile()) {
		t.Errorf("%d, %s", code, stderr)
	}
	if code, _, _ := command(t, map[string]string{"PIPESYNC_DATA_DIR": filepath.Join(dir, "none")}, "recover", "admin-token"); code != exitLocal {
		t.Errorf("of nothing: %d", code)
	}
}
