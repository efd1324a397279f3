package testcluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pipesync/client"
)

const maxIdlePerNode = 64 // connections

// Config says what cluster to start.
type Config struct {
	Binary string // of pipesync; see Build
	Dir    string // existing; takes the nodes' directories, logs and secrets
	Nodes  int    // members at the start
	// BasePort is the first node's HTTP port, as pipesync dev counts them; 0
	// means free ports anywhere.
	BasePort int
	// CertLife is how long the nodes' certificates live; 0: as long as they do
	// otherwise.
	CertLife time.Duration
	// TLS has the nodes' HTTP ports speak it.
	TLS bool
	// Hosts are where the nodes run, one each, at the default ports; none: all
	// here, at the loopback address.
	Hosts []Host
	// HTTPClient is used by all clients of the cluster; nil: one of their own, which
	// TLS needs.
	HTTPClient *http.Client
	// Env is of the processes of a node, counted from 0, beside this one's: of PIPESYNC_…
	// nothing else comes to them. Nil: nothing.
	Env func(node int) []string
}

// Host is a machine, or a network namespace that stands for one.
type Host struct {
	IP  string
	Run []string // what a program is run with, so that it runs there
	// Disk is an existing directory that takes the node's; empty: Config.Dir does.
	Disk string
}

// Cluster is a set of nodes that share an admin token and a gossip key.
type Cluster struct {
	Nodes          []*Node
	Spares         []*Node // see NewSpare
	AdminToken     string
	AdminTokenFile string

	binary        string
	dir           string
	basePort      int
	hosts         []Host
	gossipKeyFile string
	certLife      time.Duration
	scheme        string
	httpClient    *http.Client
	env           func(node int) []string
}

// Start runs cfg.Nodes processes, the first of which founds the cluster and
// the others join, and returns when all are ready. When it fails, it has
// ended what it started.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{
		scheme: "http://", binary: cfg.Binary, dir: cfg.Dir, basePort: cfg.BasePort, hosts: cfg.Hosts, certLife: cfg.CertLife, httpClient: cfg.HTTPClient, env: cfg.Env,
		AdminTokenFile: filepath.Join(cfg.Dir, "admin-token"),
		gossipKeyFile:  filepath.Join(cfg.Dir, "gossip-key"),
	}
	if c.httpClient == nil {
		c.httpClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxIdlePerNode}}
	}
	if err := c.writeSecrets(); err != nil {
		return nil, err
	}
	if err := c.Run("certs", "ca", "--out", c.caDir()); err != nil {
		return nil, err
	}
	if cfg.TLS {
		if err := c.speakTLS(); err != nil {
			return nil, err
		}
	}
	for i := range cfg.Nodes {
		if err := c.startMember(ctx, i); err != nil {
			return nil, errors.Join(err, c.tails(), c.Close())
		}
	}
	return c, nil
}

// speakTLS has the nodes speak TLS, and the clients trust their CA.
func (c *Cluster) speakTLS() error {
	text, err := os.ReadFile(filepath.Join(c.caDir(), "trust.pem"))
	if err != nil {
		return fmt.Errorf("reading the CA: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	c.scheme = "https://"
	c.httpClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxIdlePerNode, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return nil
}

func (c *Cluster) startMember(ctx context.Context, i int) error {
	n, err := c.NewNode()
	if err != nil {
		return err
	}
	how := []string{"--bootstrap"}
	if i > 0 {
		how = []string{"--join", c.Nodes[0].Peer}
	}
	if err := n.Start(how...); err != nil {
		return err
	}
	return n.AwaitReady(ctx)
}

func (c *Cluster) writeSecrets() error {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	c.AdminToken = hex.EncodeToString(raw[:])
	_, _ = rand.Read(raw[:])
	return errors.Join(
		os.WriteFile(c.AdminTokenFile, []byte(c.AdminToken+"\n"), 0o600),
		os.WriteFile(c.gossipKeyFile, []byte(base64.StdEncoding.EncodeToString(raw[:])+"\n"), 0o600),
	)
}

// NewNode adds a node with ports and a directory of its own, not yet started.
func (c *Cluster) NewNode() (*Node, error) {
	n, err := c.newNode(len(c.Nodes) + len(c.Spares))
	if err == nil {
		c.Nodes = append(c.Nodes, n)
	}
	return n, err
}

// NewSpare is NewNode for one that is a member only now and then: it isn't among Nodes.
func (c *Cluster) NewSpare() (*Node, error) {
	n, err := c.newNode(len(c.Nodes) + len(c.Spares))
	if err == nil {
		c.Spares = append(c.Spares, n)
	}
	return n, err
}

// all are the nodes, spares among them.
func (c *Cluster) all() []*Node { return slices.Concat(c.Nodes, c.Spares) }

func (c *Cluster) newNode(i int) (*Node, error) {
	var host Host
	var addrs []string
	var err error
	switch {
	case i < len(c.hosts):
		host = c.hosts[i]
		for _, port := range []string{"8800", "8801", "8802"} {
			addrs = append(addrs, net.JoinHostPort(host.IP, port))
		}
	case len(c.hosts) > 0:
		err = errors.New("there is no host for it")
	case c.basePort != 0:
		addrs, err = portsFrom(c.basePort, i)
	default:
		addrs, err = FreePorts(3)
	}
	if err != nil {
		return nil, fmt.Errorf("adding a node: %w", err)
	}
	id := fmt.Sprintf("node-%d", i+1)
	n := &Node{
		host: host,
		ID:   id, HTTP: c.scheme + addrs[0], Peer: addrs[1], Gossip: addrs[2],
		Dir: filepath.Join(cmp.Or(host.Disk, c.dir), id), Log: filepath.Join(c.dir, id+".log"),
		Binary:  c.binary,
		cluster: c,
	}
	if c.env != nil {
		n.env = c.env(i)
	}
	if err := c.certify(n); err != nil {
		return nil, err
	}
	return n, nil
}

// certify gives n a certificate, and the CA, as members that vote have it.
func (c *Cluster) certify(n *Node) error {
	args := []string{"certs", "node", "--ca", c.caDir(), "--node-id", n.ID, "--out", n.CertsDir()}
	if c.certLife != 0 {
		args = append(args, "--lifetime", c.certLife.String())
	}
	if err := c.Run(args...); err != nil {
		return err
	}
	if c.scheme == "https://" {
		host, _, err := net.SplitHostPort(hostPort(n.HTTP))
		if err == nil {
			err = c.Run("certs", "http", "--ca", c.caDir(), "--host", host, "--out", n.httpDir())
		}
		if err != nil {
			return err
		}
	}
	ca, err := os.ReadFile(filepath.Join(c.caDir(), "ca.pem"))
	if err != nil {
		return fmt.Errorf("reading the CA: %w", err)
	}
	return os.WriteFile(filepath.Join(n.CertsDir(), "ca.pem"), ca, 0o600)
}

func (c *Cluster) caDir() string { return filepath.Join(c.dir, "ca") }

// Run runs a command of the binary that needs no server.
func (c *Cluster) Run(args ...string) error {
	cmd := exec.Command(c.binary, args...)
	cmd.Env = CleanEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pipesync %v: %w: %s", args, err, out)
	}
	return nil
}

// Client speaks to any node of the cluster, the first that answers.
func (c *Cluster) Client(apiKey string) *client.Client {
	var addrs []string
	for _, n := range c.Nodes {
		addrs = append(addrs, n.HTTP)
	}
	return client.New(client.Options{
		Addrs: addrs, APIKey: apiKey, AdminToken: c.AdminToken, HTTPClient: c.httpClient,
	})
}

// HTTPClient is that of all clients.
func (c *Cluster) HTTPClient() *http.Client { return c.httpClient }

// Close kills all nodes that run.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.all() {
		if n.Running() {
			errs = append(errs, n.Kill9())
		}
	}
	return errors.Join(errs...)
}

// tails is an error with the end of each node's log.
func (c *Cluster) tails() error {
	var errs []error
	for _, n := range c.all() {
		errs = append(errs, errors.New(n.Tail(30)))
	}
	return errors.Join(errs...)
}

// Tail is the last lines of the node's log, under a heading.
func (n *Node) Tail(lines int) string {
	text, err := os.ReadFile(n.Log)
	if err != nil {
		return fmt.Sprintf("no log of %s: %v", n.ID, err)
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return fmt.Sprintf("==== end of %s\n%s", n.Log, strings.Join(all[max(0, len(all)-lines):], "\n"))
}

func hostPort(url string) string { return url[strings.Index(url, "://")+len("://"):] }

// CleanEnv is this process's environment without what would configure a node.
func CleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PIPESYNC_") {
			env = append(env, kv)
		}
	}
	return env
}
