package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pipesync/client"
)

// rotated waits for the CA "new" by a node with these statuses, the last of them for
// ever, and returns what it has told.
func rotated(t *testing.T, timeout time.Duration, statuses ...string) (stdout, stderr string, err error) {
	t.Helper()
	var asked atomic.Int64
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status := statuses[min(int(asked.Add(1)), len(statuses))-1]
		if strings.HasPrefix(status, `{"success":false`) {
			w.WriteHeader(map[bool]int{true: 401, false: 500}[strings.Contains(status, "ADMIN_TOKEN")])
		}
		_, _ = io.WriteString(w, status)
	}))
	defer node.Close()
	c := client.New(client.Options{Addrs: []string{node.URL}, AdminToken: "t", Timeout: maxTestWait})
	defer c.Close()
	var out, logs strings.Builder
	a := &app{process: process{stdout: &out, stderr: &logs}, format: formatTable}
	err = a.waitRotated(t.Context(), c, "new", timeout, time.Millisecond)
	return out.String(), logs.String(), err
}

func TestWaitingForANewCA(t *testing.T) {
	t.Parallel()
	at := func(phase, ca, waiting string) string {
		return fmt.Sprintf(`{"ca_rotation":{"phase":%q,"ca_sha256":%q,"begun_at":"2026-01-02T03:04:05Z","phase_at":"2026-01-02T03:04:06Z","waiting_for":[%s]}}`, phase, ca, waiting)
	}
	const (
		down   = `{"node_id":"n3","reason":"it does not answer"}`
		none   = `{"ca_rotation":null}`
		broken = `{"success":false,"error":{"code":"INTERNAL_ERROR","message":"broken","status":500}}`
		wrong  = `{"success":false,"error":{"code":"INVALID_ADMIN_TOKEN","message":"wrong","status":401}}`
	)
	stdout, stderr, err := rotated(t, maxTestWait, none, at("done", "old", ""), at("trust", "new", down), at("trust", "new", down), broken,
		at("issue", "newer", `{"node_id":"n1","reason":"a"},{"node_id":"n2","reason":"b"}`), at("done", "newer", ""))
	if err != nil || stdout != "all members trust the new CA alone: its SHA-256 is newer\n" {
		t.Errorf("%q, %v", stdout, err)
	}
	for _, told := range []string{"not heard of it", "phase trust; waiting for n3 (it does not answer)\n", "broken", "phase issue; waiting for n1 (a), n2 (b)\n"} {
		if strings.Count(stderr, told) != 1 {
			t.Errorf("it tells %q, want %q in it once", stderr, told)
		}
	}
	var exit *exitError
	if _, _, err := rotated(t, 100*time.Millisecond, at("trust", "new", down)); !errors.As(err, &exit) || exit.code != exitDegraded ||
		!strings.Contains(err.Error(), "n3 (it does not answer)") || !strings.Contains(exit.hint, "pipesync leave") {
		t.Errorf("a member that stays down: %v", err)
	}
	if _, _, err := rotated(t, maxTestWait, wrong); err == nil || !strings.Contains(err.Error(), "INVALID_ADMIN_TOKEN") {
		t.Errorf("without the token: %v", err)
	}
}
