// Command etcd is the driver of an etcd cluster of three processes on loopback, as its own
// embed package starts it: settings as they are by default, but for the sizes that requests
// of 5000 records need.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"pipesync/internal/bench/load"
	"pipesync/internal/testcluster"
)

const (
	members         = 3
	maxTxnOps       = 6000
	maxRequestBytes = 16 << 20
	quotaBytes      = 8 << 30
	startTimeout    = time.Minute
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	dir := flag.String("dir", "", "directory for the members' data")
	member := flag.String("member", "", "run this member, and nothing else")
	cluster := flag.String("cluster", "", "NAME=URL of the peers, by commas")
	client := flag.String("client", "", "URL for clients")
	peer := flag.String("peer", "", "URL for peers")
	flag.Parse()
	if *member != "" {
		return serve(*member, filepath.Join(*dir, *member), *cluster, *client, *peer)
	}
	d, err := start(*dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return load.Serve(context.Background(), os.Stdin, os.Stdout, d.do)
}

// serve is one member.
func serve(name, dir, cluster, client, peer string) error {
	clientURL, err := url.Parse(client)
	if err != nil {
		return err
	}
	peerURL, err := url.Parse(peer)
	if err != nil {
		return err
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = name, dir, cluster
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
	cfg.MaxTxnOps, cfg.MaxRequestBytes, cfg.QuotaBackendBytes = maxTxnOps, maxRequestBytes, quotaBytes
	cfg.LogLevel = "error"
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	return <-etcd.Err()
}

// driver has the members, and a client of each.
type driver struct {
	processes []*testcluster.Process
	clients   []*clientv3.Client
	records   *load.Records
}

// start returns when all members answer.
func start(dir string) (d *driver, err error) {
	d = &driver{records: load.NewRecords()}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return d, err
	}
	addrs, err := testcluster.FreePorts(2 * members)
	if err != nil {
		return d, err
	}
	clients, peers := addrs[:members], addrs[members:]
	var cluster []string
	for i, peer := range peers {
		cluster = append(cluster, fmt.Sprintf("m%d=http://%s", i, peer))
	}
	for i := range members {
		cmd := exec.Command(self, "--dir", dir, "--member", fmt.Sprintf("m%d", i), "--cluster", strings.Join(cluster, ","),
			"--client", "http://"+clients[i], "--peer", "http://"+peers[i])
		cmd.Stderr = os.Stderr
		process, err := testcluster.StartProcess(cmd)
		if err != nil {
			return d, err
		}
		d.processes = append(d.processes, process)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for _, addr := range clients {
		c, err := clientv3.New(clientv3.Config{
			Endpoints: []string{"http://" + addr}, MaxCallSendMsgSize: maxRequestBytes, MaxCallRecvMsgSize: maxRequestBytes,
		})
		if err != nil {
			return d, err
		}
		d.clients = append(d.clients, c)
		if _, err := c.Get(ctx, "ready"); err != nil {
			return d, fmt.Errorf("awaiting the member at %s: %w", addr, err)
		}
	}
	return d, nil
}

func (d *driver) close() error {
	var errs []error
	for _, c := range d.clients {
		errs = append(errs, c.Close())
	}
	for _, p := range d.processes {
		errs = append(errs, p.Kill9())
	}
	return errors.Join(errs...)
}

func (d *driver) do(ctx context.Context, j load.Job) (load.Figures, error) {
	batches, err := d.records.Batches(j)
	if err != nil {
		return load.Figures{}, err
	}
	to, err := d.to(ctx, j.To)
	if err != nil {
		return load.Figures{}, err
	}
	return load.Run(ctx, j, func(ctx context.Context, client, request int) error {
		return send(ctx, to[client%len(to)], j.Kind, batches[request])
	})
}

// send gets the first record of a batch, or puts all of them in one transaction.
func send(ctx context.Context, c *clientv3.Client, kind string, batch []load.Record) error {
	switch {
	case kind == load.Read:
		reply, err := c.Get(ctx, batch[0].ID)
		if err == nil && len(reply.Kvs) != 1 {
			err = fmt.Errorf("there is no %s", batch[0].ID)
		}
		return err
	case len(batch) == 1:
		_, err := c.Put(ctx, batch[0].ID, batch[0].Data)
		return err
	}
	ops := make([]clientv3.Op, len(batch))
	for i, r := range batch {
		ops[i] = clientv3.OpPut(r.ID, r.Data)
	}
	_, err := c.Txn(ctx).Then(ops...).Commit()
	return err
}

// to are the clients that requests go to.
func (d *driver) to(ctx context.Context, where string) (chosen []*clientv3.Client, err error) {
	for _, c := range d.clients {
		status, err := c.Status(ctx, c.Endpoints()[0])
		if err != nil {
			return nil, err
		}
		leads := status.Leader == status.Header.MemberId
		if where == load.Spread || leads == (where == load.Leader) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("there is no member for requests to %q", where)
	}
	return chosen, nil
}
