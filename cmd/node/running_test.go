package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pipesync/client"
)

// maxTestWait bounds every wait of a test; only a broken one comes near it.
const maxTestWait = 90 * time.Second

// running is a command that goes on until it is stopped.
type running struct {
	t      *testing.T
	stop   context.CancelCauseFunc
	lines  *bufio.Reader // stdout
	stderr *logBuffer
	code   chan int
}

// launch runs the program in this process. It is stopped at the end of the test
// at the latest.
func launch(t *testing.T, env map[string]string, args ...string) *running {
	t.Helper()
	return launchWith(t, process{}, env, args...)
}

// launchWith is launch with what p has.
func launchWith(t *testing.T, p process, env map[string]string, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancelCause(context.Background())
	reader, writer := io.Pipe()
	r := &running{t: t, stop: stop, lines: bufio.NewReader(reader), stderr: &logBuffer{}, code: make(chan int, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.stdout, p.stderr = writer, r.stderr
		p.getenv = func(name string) string { return env[name] }
		p.exit = func(int) { panic("the program ended itself: " + r.stderr.String()) }
		code := run(ctx, args, p)
		_ = writer.Close()
		r.code <- code
	}()
	t.Cleanup(func() {
		stop(signalled{syscall.SIGTERM})
		go func() { _, _ = io.Copy(io.Discard, reader) }()
		<-ended
		if t.Failed() {
			t.Logf("stderr of %v:\n%s", args, r.stderr)
		}
	})
	return r
}

// firstLine decodes the line of JSON that a server prints when it is up.
func (r *running) firstLine(out any) {
	r.t.Helper()
	line, err := r.lines.ReadBytes('\n')
	if err != nil {
		r.t.Fatalf("it ended before it was up: %v\n%s", err, r.stderr)
	}
	if err := json.Unmarshal(line, out); err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
}

// exitCode waits for the end.
func (r *running) exitCode() int {
	r.t.Helper()
	select {
	case code := <-r.code:
		return code
	case <-time.After(maxTestWait):
		r.t.Fatalf("it goes on and on\n%s", r.stderr)
		return -1
	}
}

// awaitLog waits for text on stderr.
func (r *running) awaitLog(text string) {
	r.t.Helper()
	r.await("the log to say "+text, func() bool { return strings.Contains(r.stderr.String(), text) })
}

func (r *running) await(what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(maxTestWait); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waiting for %s", what)
		}
	}
}

// terminate does what SIGTERM does, and wants a clean stop.
func (r *running) terminate() {
	r.t.Helper()
	r.stop(signalled{syscall.SIGTERM})
	if code := r.exitCode(); code != exitOK {
		r.t.Fatalf("exit code after SIGTERM is %d\n%s", code, r.stderr)
	}
}

// command runs the program to its end.
func command(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxTestWait)
	defer cancel()
	var out, logs bytes.Buffer
	code = run(ctx, args, process{
		stdout: &out, stderr: &logs, getenv: func(name string) string { return env[name] }, exit: os.Exit,
	})
	return code, out.String(), logs.String()
}

// mustCommand wants exit code 0 and decodes the output, unless out is nil. It gives the
// command again where an election came in between, as it may on a busy machine at any
// time.
func mustCommand(t *testing.T, env map[string]string, out any, args ...string) {
	t.Helper()
	code, stdout, stderr := command(t, env, append(args, "-o", "json")...)
	for until := time.Now().Add(maxTestWait); isElection(stderr) && code != exitOK && time.Now().Before(until); {
		code, stdout, stderr = command(t, env, append(args, "-o", "json")...)
	}
	if code != exitOK {
		t.Fatalf("exit code of %v is %d\n%s", args, code, stderr)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(stdout), out); err != nil {
		t.Fatalf("%s: %v", stdout, err)
	}
}

func isElection(stderr string) bool {
	return strings.Contains(stderr, "OUTCOME_UNKNOWN") || strings.Contains(stderr, "NO_LEADER")
}

// testServer is a node of its own directory, on free ports.
type testServer struct {
	*running
	boundPorts
	dir string
	env map[string]string
}

// serveNode starts a node that shares gossipKey with others.
func serveNode(t *testing.T, dir, gossipKey string, args ...string) *testServer {
	t.Helper()
	s := &testServer{dir: dir, env: map[string]string{
		"PIPESYNC_DATA_DIR":    dir,
		"PIPESYNC_GOSSIP_KEY":  gossipKey,
		"PIPESYNC_HTTP_ADDR":   "127.0.0.1:0",
		"PIPESYNC_PEER_ADDR":   "127.0.0.1:0",
		"PIPESYNC_GOSSIP_ADDR": "127.0.0.1:0",
	}}
	s.running = launch(t, s.env, append([]string{"serve", "-o", "json"}, args...)...)
	s.firstLine(&s.boundPorts)
	return s
}

// admin is the environment of commands that administer s.
func (s *testServer) admin() map[string]string {
	return map[string]string{"PIPESYNC_DATA_DIR": s.dir, "PIPESYNC_HTTP_ADDR": s.HTTP}
}

func (s *testServer) awaitReady() client.Status {
	s.t.Helper()
	var status client.Status
	mustCommand(s.t, s.admin(), &status, "status", "--wait", "ready", "--timeout", "60s")
	return status
}

func (s *testServer) certsDir() string { return filepath.Join(s.dir, certsName) }

// joinedBy starts a node that joins the cluster of s, with a certificate of its CA.
func (s *testServer) joinedBy(nodeID string, args ...string) *testServer {
	s.t.Helper()
	dir := filepath.Join(filepath.Dir(s.dir), nodeID)
	certify(s.t, s.certsDir(), nodeID, dir)
	return serveNode(s.t, dir, s.env["PIPESYNC_GOSSIP_KEY"],
		append([]string{"--node-id", nodeID, "--join", s.Peer, "--join-token-file", s.adminTokenFile()}, args...)...)
}

// certify gives the node that is to be in dir a certificate of the CA in caDir.
func certify(t *testing.T, caDir, nodeID, dir string) {
	t.Helper()
	mustCommand(t, nil, nil, "certs", "node", "--ca", caDir, "--node-id", nodeID, "--out", filepath.Join(dir, certsName))
}

func (s *testServer) adminTokenFile() string { return filepath.Join(s.dir, adminTokenName) }

// logBuffer keeps what was logged.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// push upserts one record through the node at addr and wants it committed.
func push(t *testing.T, addr, key, org, namespace, id string) {
	t.Helper()
	c := client.New(client.Options{Addrs: []string{addr}, APIKey: key})
	defer c.Close()
	reply, err := c.Sync(context.Background(), client.SyncRequest{
		OrganizationID: org, Mode: client.Incremental,
		Operations: []client.Operation{{
			Action: client.Upsert, ID: id, Namespace: namespace, Data: json.RawMessage(`{"id":"` + id + `"}`),
		}},
	})
	if err != nil || reply.Results.Upserted != 1 {
		t.Fatalf("pushing %s through %s: %+v, %v", id, addr, reply, err)
	}
}

// wantRecord wants that a linearizable read through the node at addr finds the record.
func wantRecord(t *testing.T, addr, key, store, namespace, id string) {
	t.Helper()
	c := client.New(client.Options{Addrs: []string{addr}, APIKey: key})
	defer c.Close()
	record, err := c.Record(context.Background(), store, namespace, id, client.ReadOptions{})
	if err != nil || string(record.Data) != `{"id":"`+id+`"}` {
		t.Fatalf("reading %s through %s: %+v, %v", id, addr, record, err)
	}
}
