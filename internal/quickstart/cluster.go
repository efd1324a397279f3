package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

const (
	nodes        = 3
	firstPort    = 8800
	portStep     = 100
	lastPort     = 20000
	organization = "org_abc123"
	vectorStore  = "vs_demo"
)

// cluster is a running one, however it was started.
type cluster struct {
	addrs      []string // URLs, one a node
	key        string
	adminToken string
	org, store string
	// kill ends the node that leads as kill -9 does and returns its index, and
	// revive brings it back; nil where all nodes are one process.
	kill   func(context.Context) (int, error)
	revive func(context.Context, int) error
	failed <-chan struct{} // closed when the cluster has ended by itself
	stop   func(context.Context) error
}

// node is a client of one node.
func (c *cluster) node(i int) *client.Client {
	return client.New(client.Options{Addrs: []string{c.addrs[i]}, APIKey: c.key, AdminToken: c.adminToken})
}

// freeBase finds the first HTTP port from which all nodes' ports are free.
func freeBase(out io.Writer) (int, error) {
	for base := firstPort; base < lastPort; base += portStep {
		busy := 0
		for i := range nodes {
			for offset := range 3 { // HTTP, peer, gossip
				if port := base + 10*i + offset; busy == 0 && !testcluster.PortFree(port) {
					busy = port
				}
			}
		}
		if busy == 0 {
			return base, nil
		}
		fmt.Fprintf(out, "port %d is in use, trying %d\n", busy, base+portStep)
	}
	return 0, fmt.Errorf("finding ports: none are free from %d to %d", firstPort, lastPort)
}

// startDev runs pipesync dev: three nodes in one process.
func startDev(ctx context.Context, binary, dir string, out io.Writer) (*cluster, error) {
	base, err := freeBase(out)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "starting 'pipesync dev': three nodes in one process, from port %d\n", base)
	log, err := os.Create(filepath.Join(dir, "dev.log"))
	if err != nil {
		return nil, fmt.Errorf("making dev's log: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a pipe: %w", err), log.Close())
	}
	cmd := exec.Command(binary, "dev", "-o", "json", "--http-port", strconv.Itoa(base), "--data-dir", filepath.Join(dir, "data"))
	cmd.Stdout, cmd.Stderr, cmd.Env = write, log, testcluster.CleanEnv()
	process, err := testcluster.StartProcess(cmd, write, log)
	if err != nil {
		return nil, err
	}
	c, err := readDev(ctx, process, read)
	if err != nil {
		text, _ := os.ReadFile(log.Name()) // the error is worth telling without it
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, text), process.Kill9())
	}
	return c, nil
}

// readDev reads the one line that dev prints when its cluster is ready.
func readDev(ctx context.Context, process *testcluster.Process, stdout io.Reader) (*cluster, error) {
	lines := make(chan []byte, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadBytes('\n') // a short line fails to decode
		lines <- line
	}()
	var dev struct {
		Nodes []struct {
			HTTP string `json:"http"`
		} `json:"nodes"`
		APIKey         string `json:"api_key"`
		AdminToken     string `json:"admin_token"`
		OrganizationID string `json:"organization_id"`
		VectorStoreID  string `json:"vector_store_id"`
	}
	select {
	case line := <-lines:
		if err := json.Unmarshal(line, &dev); err != nil {
			return nil, fmt.Errorf("reading what 'pipesync dev' says: %w", err)
		}
	case <-process.Exited():
		return nil, errors.New("'pipesync dev' ended before it was ready")
	case <-time.After(time.Minute):
		return nil, errors.New("'pipesync dev' isn't ready after a minute")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c := &cluster{
		key: dev.APIKey, adminToken: dev.AdminToken, org: dev.OrganizationID, store: dev.VectorStoreID,
		failed: process.Exited(), stop: process.Stop,
	}
	for _, n := range dev.Nodes {
		c.addrs = append(c.addrs, n.HTTP)
	}
	return c, nil
}

// startProcesses runs three serve processes.
func startProcesses(ctx context.Context, binary, dir string, out io.Writer) (*cluster, error) {
	base, err := freeBase(out)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "starting three 'pipesync serve' processes, from port %d\n", base)
	tc, err := testcluster.Start(ctx, testcluster.Config{Binary: binary, Dir: dir, Nodes: nodes, BasePort: base})
	if err != nil {
		return nil, err
	}
	c := &cluster{adminToken: tc.AdminToken, org: organization, store: vectorStore}
	for _, n := range tc.Nodes {
		c.addrs = append(c.addrs, n.HTTP)
		fmt.Fprintf(out, "  %s: process %d at %s\n", n.ID, n.Process().Pid(), n.HTTP)
	}
	c.stop = func(ctx context.Context) error { return stopAll(ctx, tc) }
	c.kill = func(ctx context.Context) (int, error) { return killLeader(ctx, tc, out) }
	c.revive = func(ctx context.Context, i int) error { return tc.Nodes[i].Restart(ctx) }
	made, err := c.node(0).CreateKey(ctx, client.KeyRequest{OrganizationID: c.org, Name: "quickstart", VectorStoreID: c.store})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making an API key: %w", err), tc.Close())
	}
	c.key = made.Key
	return c, nil
}

func killLeader(ctx context.Context, tc *testcluster.Cluster, out io.Writer) (int, error) {
	leader, err := tc.Leader(ctx)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "kill -9 %d: %s, which leads\n", leader.Process().Pid(), leader.ID)
	for i, n := range tc.Nodes {
		if n == leader {
			return i, n.Kill9()
		}
	}
	return 0, errors.New("the leader is none of the nodes")
}

func stopAll(ctx context.Context, tc *testcluster.Cluster) error {
	var errs []error
	for _, n := range tc.Nodes {
		if n.Running() {
			errs = append(errs, n.Stop(ctx))
		}
	}
	return errors.Join(errs...)
}
