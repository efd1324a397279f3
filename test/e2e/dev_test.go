package e2e

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// devLine is what pipesync dev -o json prints once its cluster is ready.
type devLine struct {
	Nodes []struct {
		ID   string `json:"id"`
		HTTP string `json:"http"`
	} `json:"nodes"`
	APIKey         string `json:"api_key"`
	AdminToken     string `json:"admin_token"`
	OrganizationID string `json:"organization_id"`
	VectorStoreID  string `json:"vector_store_id"`
}

// startDev runs pipesync dev -o json until it has printed its line.
func startDev(t *testing.T, dir string, port int) (*testcluster.Process, devLine) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "dev.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "dev", "-o", "json", "--data-dir", dir, "--http-port", strconv.Itoa(port))
	cmd.Stdout, cmd.Stderr, cmd.Env = in, log, testcluster.CleanEnv()
	p, err := testcluster.StartProcess(cmd, in, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill9(); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("dev's log: %s", text)
		}
	})
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
	}()
	select {
	case line := <-lines:
		var dev devLine
		if err := json.Unmarshal([]byte(line), &dev); err != nil {
			t.Fatalf("dev printed %q: %v", line, err)
		}
		return p, dev
	case <-p.Exited():
		t.Fatal("dev exited before it was ready")
	case <-time.After(testDeadline):
		t.Fatal("dev printed nothing")
	}
	panic("unreachable")
}

// freeBase is a port from which on, and 100 above, all ports of three nodes are free.
func freeBase(t *testing.T) int {
	t.Helper()
	base, err := testcluster.FreeBase(200)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// The cluster of one process is the same as three: ready when it says so, and
// back after Ctrl-C with the same data, key and addresses.
func TestDevComesBack(t *testing.T) {
	s := newSuite(t, &testcluster.Cluster{}, testDeadline)
	dir, port := t.TempDir(), freeBase(t)
	p, dev := startDev(t, dir, port)
	if len(dev.Nodes) != 3 || !strings.HasSuffix(dev.Nodes[1].HTTP, strconv.Itoa(port+10)) || dev.AdminToken == "" {
		t.Fatalf("dev says %+v", dev)
	}
	tn := tenant{org: dev.OrganizationID, store: dev.VectorStoreID, key: dev.APIKey}
	for i, n := range dev.Nodes {
		c := client.New(client.Options{Addrs: []string{n.HTTP}, APIKey: tn.key, HTTPClient: s.http})
		batch := tn.batch(client.Incremental, upsert("ns", n.ID, `{}`))
		batch.VectorStoreID = "" // the key has a default
		_, err := c.Sync(s.ctx, batch)
		s.must(err)
		page, err := c.Records(s.ctx, tn.store, "ns", client.ReadOptions{})
		s.must(err)
		if len(page.Records) != i+1 {
			t.Errorf("%s lists %d records", n.ID, len(page.Records))
		}
	}
	s.must(p.Stop(s.ctx))

	_, again := startDev(t, dir, port)
	if again.APIKey != dev.APIKey || again.AdminToken != dev.AdminToken || again.Nodes[2] != dev.Nodes[2] {
		t.Errorf("dev came back as %+v, was %+v", again, dev)
	}
	c := client.New(client.Options{Addrs: []string{again.Nodes[2].HTTP}, APIKey: again.APIKey, HTTPClient: s.http})
	page, err := c.Records(s.ctx, dev.VectorStoreID, "ns", client.ReadOptions{})
	s.must(err)
	if len(page.Records) != 3 {
		t.Errorf("%d records after a restart", len(page.Records))
	}
}

func TestDevMovesOnFromABusyPort(t *testing.T) {
	port := freeBase(t)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+11))) // the second node's peer port
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, dev := startDev(t, t.TempDir(), port)
	if want := strconv.Itoa(port + 100); !strings.HasSuffix(dev.Nodes[0].HTTP, ":"+want) {
		t.Errorf("the first node is at %s, want port %s", dev.Nodes[0].HTTP, want)
	}
}
