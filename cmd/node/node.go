package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pipesync/api/auditlog"
	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm"
	"pipesync/fsm/admission"
	"pipesync/fsm/audit"
)

const (
	// maxStop bounds a clean stop in all; what isn't done by then is cut off.
	maxStop = 30 * time.Second
	// maxHandOver bounds the transfer of leadership within it.
	maxHandOver = 5 * time.Second
)

// nodeConfig is what a node needs besides its Config: secrets that have been
// read, and what it shares with the process around it.
type nodeConfig struct {
	Config
	secrets secrets
	log     *slog.Logger
	// fatal ends the process; it never returns.
	fatal func(error)
}

// node is one running server: serve has one, dev several.
type node struct {
	nodeConfig
	listener  net.Listener
	registry  *prometheus.Registry
	decisions *decisions
	state     *fsm.FSM
	gate      *admission.Gate
	clocks    *cluster.Clocks
	certs     *certs.Store     // of the peer port; nil: plain text
	httpCerts *certs.HTTPStore // nil: plain text
	audit     *audit.Auditor
	auditLog  *auditlog.Log
	cluster   *cluster.Node
	server    *http.Server
	debug     net.Listener // nil: none
	served    chan error   // the end of the HTTP server
	running   []part       // what has been started, in order
}

// part is something started, and how it is stopped.
type part struct {
	name string
	stop func(context.Context) error
}

// startNode runs the steps of a start. When it returns an error, what had been
// started is stopped again.
func startNode(ctx context.Context, c nodeConfig) (*node, error) {
	n := &node{nodeConfig: c, clocks: cluster.NewClocks(admission.SystemClock{}), served: make(chan error, 1)}
	steps := []struct {
		doing string
		run   func() error
	}{
		{"locking the data directory", func() error { return n.lockData(ctx) }},
		{"making an admin token", n.makeAdminToken},
		{"reading the HTTP port's certificate", n.openHTTPCerts},
		{"binding the HTTP port", n.bindHTTP},
		{"starting the metrics", n.startMetrics},
		{"serving the debug port", n.serveDebug},
		{"opening the state", n.openState},
		{"reading the certificates", n.openCerts},
		{"opening the cluster", n.openCluster},
		{"checking the membership", n.refuseRemoved},
		{"auditing the state", n.auditState},
		{"starting the upkeep", n.startUpkeep},
		{"opening the audit log", n.openAuditLog},
		{"reading a recovered admin token", n.takeRecoveredToken},
		{"serving HTTP", n.serveHTTP},
	}
	for _, s := range steps {
		err := ctx.Err()
		if err == nil {
			err = s.run()
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", s.doing, err)
			return nil, errors.Join(err, n.stop(err))
		}
	}
	return n, nil
}

// run forms or joins a cluster if the node is told to, and returns when the node
// shall stop: nil if ctx ended, else why it can't go on.
func (n *node) run(ctx context.Context) error {
	forming, stopForming := context.WithCancel(ctx)
	formed := make(chan error, 1)
	go func() { formed <- n.form(forming) }()
	defer func() {
		stopForming()
		if formed != nil {
			<-formed
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.cluster.Removed():
			return cluster.ErrRemoved
		case err := <-n.served:
			return fmt.Errorf("serving HTTP: %w", err)
		case err := <-formed:
			formed = nil
			if err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// stop stops what was started, last to first.
func (n *node) stop(reason error) error {
	n.log.Info("stopping", "reason", reason)
	ctx, cancel := context.WithTimeout(context.Background(), maxStop)
	defer cancel()
	var faults []error
	for len(n.running) > 0 {
		last := n.running[len(n.running)-1]
		n.running = n.running[:len(n.running)-1]
		if err := last.stop(ctx); err != nil {
			faults = append(faults, fmt.Errorf("stopping %s: %w", last.name, err))
		}
	}
	return errors.Join(faults...)
}

// inBackground starts run, which works until its context ends.
func (n *node) inBackground(name string, run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx)
	}()
	n.started(name, func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
}

func (n *node) started(name string, stop func(context.Context) error) {
	n.running = append(n.running, part{name, stop})
}
