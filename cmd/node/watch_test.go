package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pipesync/client"
)

// watched runs a watch of a node that gives these replies, interrupts it when it asks
// once more, and returns what it has shown.
func watched(t *testing.T, format string, terminal bool, replies ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	var asked atomic.Int64
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := int(asked.Add(1))
		if n > len(replies) {
			interrupt()
			return
		}
		reply := replies[n-1]
		if strings.HasPrefix(reply, `{"success":false`) {
			w.WriteHeader(map[bool]int{true: 401, false: 500}[strings.Contains(reply, "ADMIN_TOKEN")])
		}
		_, _ = io.WriteString(w, reply)
	}))
	defer node.Close()
	c := client.New(client.Options{Addrs: []string{node.URL}, AdminToken: "t", Timeout: maxTestWait})
	defer c.Close()
	var out, logs strings.Builder
	a := &app{process: process{stdout: &out, stderr: &logs, terminal: terminal}, format: format}
	err = a.watchStatus(ctx, c, time.Millisecond)
	return out.String(), logs.String(), err
}

func TestWatch(t *testing.T) {
	t.Parallel()
	const (
		ready  = `{"node_id":"n1","cluster_id":"c","leader":{"id":"n1"},"ready":true}`
		broken = `{"success":false,"error":{"code":"INTERNAL_ERROR","message":"broken","status":500}}`
		wrong  = `{"success":false,"error":{"code":"INVALID_ADMIN_TOKEN","message":"wrong","status":401}}`
	)
	table, _, err := watched(t, formatTable, false, ready)
	if err != nil || !strings.HasPrefix(table, "node ") || strings.Contains(table, "\x1b") {
		t.Fatalf("one table: %q, %v", table, err)
	}
	text := func(format string) string {
		one, _, err := watched(t, format, false, ready)
		if err != nil {
			t.Fatal(err)
		}
		return one
	}
	drawn := toTopLeft + strings.ReplaceAll(table, "\n", clearLine+"\n") + clearToBelow
	for _, test := range []struct {
		format   string
		terminal bool
		want     string // of two
	}{
		{formatTable, false, table + "\n" + table},
		{formatTable, true, drawn + drawn},
		{formatJSON, true, strings.Repeat(text(formatJSON), 2)},
		{formatYAML, true, text(formatYAML) + "---\n" + text(formatYAML)},
	} {
		got, stderr, err := watched(t, test.format, test.terminal, ready, broken, ready)
		if got != test.want || err != nil {
			t.Errorf("%s, terminal %t: %q, want %q; %v", test.format, test.terminal, got, test.want, err)
		}
		if strings.Count(stderr, "pipesync: ") != 1 || !strings.Contains(stderr, "INTERNAL_ERROR: broken") {
			t.Errorf("between the two it says %q", stderr)
		}
	}
	if _, stderr, err := watched(t, formatTable, true, `{"node_id":"n1","cluster_id":"c","ready":true}`); err != nil || !strings.Contains(stderr, "node n1 is degraded: no leader is known") {
		t.Errorf("without a leader it says %q, %v", stderr, err)
	}
	var refused *client.Error
	if _, _, err := watched(t, formatTable, true, wrong); !errors.As(err, &refused) {
		t.Errorf("a wrong token: %v", err)
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	t.Parallel()
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) {
		t.Error("it is taken for one")
	}
}
