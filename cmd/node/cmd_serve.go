package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"pipesync/cluster"
)

func newServeCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run one node in the foreground",
		Long: `Run one node in the foreground. Once its ports are bound it prints one line with
them; everything else goes to stderr. SIGTERM or Ctrl-C hands leadership over,
lets requests under way end, and stops with exit code 0. SIGHUP reads certificates
and the log level again.

On an empty data directory --bootstrap forms a cluster and --join joins one; with
neither the node waits for 'pipesync join'.`,
		Example: "  pipesync serve --data-dir data --bootstrap",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), a.getenv)
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), cfg, func() (Config, error) { return loadConfig(cmd.Flags(), a.getenv) })
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

// serve runs a node. reread loads the configuration again, from where cfg is of.
func (a *app) serve(ctx context.Context, cfg Config, reread func() (Config, error)) error {
	secrets, err := cfg.readSecrets()
	if err != nil {
		return err
	}
	log, level := cfg.Log.logger(a.stderr)
	defer a.keepMemory(cfg.Disk.CacheBytes)()
	n, err := startNode(ctx, nodeConfig{Config: cfg, secrets: secrets, log: log, fatal: a.fatal(log)})
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	if err := a.announce(n); err != nil {
		return errors.Join(err, n.stop(err))
	}
	n.inBackground("what waits for readiness", n.whenReady)
	if a.hangups != nil {
		c, stop := a.hangups()
		defer stop()
		n.inBackground("the reload at SIGHUP", func(ctx context.Context) { n.reloadAt(ctx, c, reread, level) })
	}
	fault := n.run(ctx)
	notify(n.log, daemon.SdNotifyStopping)
	return a.ended(ctx, n, fault)
}

// ended stops a node that shall not go on, and says whether that was a fault.
func (a *app) ended(ctx context.Context, n *node, fault error) error {
	reason := fault
	if reason == nil {
		reason = context.Cause(ctx)
	}
	stopFault := n.stop(reason)
	switch {
	case errors.Is(fault, cluster.ErrRemoved):
		n.log.Info("left the cluster: this directory can't be used again", "data_dir", n.DataDir)
		return stopFault
	case fault != nil && exitCode(context.Background(), fault) == exitLocal:
		fault = &exitError{code: exitRemote, err: fault}
	}
	return errors.Join(fault, stopFault)
}

// maxLastWords bounds the writing of why the process ends: the log may be on the
// disk that hangs.
const maxLastWords = 2 * time.Second

// fatal ends the process on an error after which going on could lose or fork
// data: a failed sync, a corrupt entry, a panic while applying one, a disk that
// doesn't answer.
func (a *app) fatal(log *slog.Logger) func(error) {
	return func(err error) {
		told := make(chan struct{})
		go func() {
			defer close(told)
			log.Error("stopping at once: going on could lose data", "error", err)
		}()
		select {
		case <-told:
		case <-time.After(maxLastWords):
		}
		a.exit(exitRemote)
		select {} // where exit was replaced by a test: never return
	}
}

// boundPorts is where a node listens.
type boundPorts struct {
	NodeID string `json:"node_id"`
	HTTP   string `json:"http"` // URL
	Peer   string `json:"peer"`
	Gossip string `json:"gossip"`
	Debug  string `json:"debug,omitzero"` // URL; empty: none
}

func (n *node) bound() boundPorts {
	peer, gossip := n.cluster.Bound()
	debug := ""
	if n.debug != nil {
		debug = "http://" + n.debug.Addr().String()
	}
	return boundPorts{
		NodeID: n.cluster.Status().NodeID,
		HTTP:   n.httpURL(),
		Peer:   peer,
		Gossip: gossip,
		Debug:  debug,
	}
}

func (a *app) announce(n *node) error {
	b := n.bound()
	return a.print(b, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "node %s: http %s, peer %s, gossip %s", b.NodeID, b.HTTP, b.Peer, b.Gossip)
		if b.Debug != "" {
			fmt.Fprintf(w, ", debug %s", b.Debug)
		}
		fmt.Fprintln(w)
	})
}
