package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"pipesync/client"
)

// Node is one pipesync process that can be stopped and started again on the
// same directory and ports. Its methods may be called concurrently, except
// that only one caller at a time may start or end it.
type Node struct {
	ID     string
	HTTP   string // URL
	Peer   string // host:port
	Gossip string // host:port
	Dir    string // data directory
	Log    string // file with all that the process has printed
	Binary string // of pipesync, that the next start runs

	cluster *Cluster
	env     []string
	host    Host
	mu      sync.Mutex
	process *Process // nil: never started
}

var errNotRunning = errors.New("not running")

// Start runs the node with the flags that every node gets and those given. It
// doesn't wait for readiness.
func (n *Node) Start(flags ...string) error {
	if n.Running() {
		return fmt.Errorf("starting %s: it is running", n.ID)
	}
	log, err := os.OpenFile(n.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", n.ID, err)
	}
	args := append(append(slices.Clone(n.host.Run), n.Binary), append(n.flags(), flags...)...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = filepath.Dir(n.Dir)
	cmd.Env = append(CleanEnv(), n.env...)
	fmt.Fprintf(log, "---- %s %v\n", time.Now().Format(time.RFC3339Nano), cmd.Args)
	process, err := StartProcess(cmd, log)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	n.mu.Lock()
	n.process = process
	n.mu.Unlock()
	return nil
}

func (n *Node) flags() []string {
	flags := []string{"serve",
		"--node-id", n.ID,
		"--data-dir", n.Dir,
		"--http-addr", hostPort(n.HTTP),
		"--peer-addr", n.Peer,
		"--peer-certs-dir", n.CertsDir(),
		"--gossip-addr", n.Gossip,
		"--gossip-key-file", n.cluster.gossipKeyFile,
		"--admin-token-file", n.cluster.AdminTokenFile,
		"--join-token-file", n.cluster.AdminTokenFile,
	}
	switch {
	case n.cluster.scheme == "https://":
		flags = append(flags, "--http-tls-cert-file", filepath.Join(n.httpDir(), "http-cert.pem"),
			"--http-tls-key-file", filepath.Join(n.httpDir(), "http-key.pem"))
	case n.host.IP != "":
		flags = append(flags, "--insecure-http")
	}
	return flags
}

// httpDir is where the certificate of the HTTP port is, if it speaks TLS.
func (n *Node) httpDir() string { return filepath.Join(n.cluster.dir, n.ID+"-http") }

// CertsDir is apart from the data, so that a node that starts anew has its certificates
// still.
func (n *Node) CertsDir() string { return filepath.Join(n.cluster.dir, n.ID+"-certs") }

// Process is the node's current or last process; nil if it was never started.
func (n *Node) Process() *Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// Running is false before Start and once the process is gone.
func (n *Node) Running() bool {
	p := n.Process()
	if p == nil {
		return false
	}
	select {
	case <-p.Exited():
		return false
	default:
		return true
	}
}

// Kill9 ends the process as a crash would, and returns when it is gone.
func (n *Node) Kill9() error { return n.with(func(p *Process) error { return p.Kill9() }) }

// Stop asks the process to end by SIGTERM and returns nil if it exited with 0.
func (n *Node) Stop(ctx context.Context) error {
	return n.with(func(p *Process) error { return p.Stop(ctx) })
}

// Pause stops the process with SIGSTOP: its ports stay open and silent.
func (n *Node) Pause() error {
	return n.with(func(p *Process) error { return p.Signal(syscall.SIGSTOP) })
}

// Continue ends a Pause.
func (n *Node) Continue() error {
	return n.with(func(p *Process) error { return p.Signal(syscall.SIGCONT) })
}

func (n *Node) with(act func(*Process) error) error {
	p := n.Process()
	if p == nil {
		return fmt.Errorf("%s: %w", n.ID, errNotRunning)
	}
	if err := act(p); err != nil {
		return fmt.Errorf("%s: %w", n.ID, err)
	}
	return nil
}

// Restart starts a node that was killed or stopped and awaits its readiness.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Start(); err != nil {
		return err
	}
	return n.AwaitReady(ctx)
}

// AwaitReady returns when /readyz answers 200. It fails at once if the process exits.
func (n *Node) AwaitReady(ctx context.Context) error {
	return n.await(ctx, "the readiness of "+n.ID, n.Client().Ready)
}

// AwaitLive returns when the process answers at all.
func (n *Node) AwaitLive(ctx context.Context) error {
	return n.await(ctx, n.ID+" to listen", n.Client().Live)
}

func (n *Node) await(ctx context.Context, what string, check func(context.Context) error) error {
	p := n.Process()
	if p == nil {
		return fmt.Errorf("awaiting %s: %w", what, errNotRunning)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.Exited():
			cancel(fmt.Errorf("%s exited: %w", n.ID, errors.Join(p.err, errNotRunning)))
		case <-ctx.Done():
		}
	}()
	return Await(ctx, what, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a paused node answers nothing
		defer cancel()
		return check(ctx)
	})
}

// Client speaks to this node alone, with the cluster's admin token.
func (n *Node) Client() *client.Client { return n.ClientFor("") }

// ClientFor is Client with an API key.
func (n *Node) ClientFor(apiKey string) *client.Client {
	return client.New(client.Options{
		Addrs: []string{n.HTTP}, APIKey: apiKey, AdminToken: n.cluster.AdminToken,
		HTTPClient: n.cluster.httpClient,
	})
}
