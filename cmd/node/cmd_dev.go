package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/cluster"
)

// devFlags are the flags of dev.
type devFlags struct {
	nodes    int
	dataDir  string
	httpPort int
	log      LogConfig
}

func newDevCommand(a *app) *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster in this process, to try and to test against",
		Long: `Run a whole cluster in this process, on loopback, to try and to test against. Once
it is ready it prints the nodes, an API key and the admin token. Ctrl-C stops it.

Node i has its HTTP port at --http-port + 10·i, its peer port one and its gossip
port two above. Where one of them is busy, all move on by 100.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.nodes < 1 || f.nodes > maxDevNodes {
				return fmt.Errorf("--nodes is %d: it must be from 1 to %d", f.nodes, maxDevNodes)
			}
			const highest = 65535 - maxDevMoves*devBusyStep - maxDevNodes*devNodeStep
			if f.httpPort < 0 || f.httpPort > highest {
				return fmt.Errorf("--http-port is %d: it must be from 0 to %d", f.httpPort, highest)
			}
			return a.dev(cmd.Context(), f, cmd.Flags().Changed("http-port"))
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&f.nodes, "nodes", 3, "how many nodes, 1 to 9")
	fs.StringVar(&f.dataDir, "data-dir", "", "keep the cluster here and come back with it (default: a temporary directory, removed at the end)")
	fs.IntVar(&f.httpPort, "http-port", 8800, "first HTTP port; 0 picks free ports")
	fs.StringVar(&f.log.Level, "log-level", "warn", "debug, info, warn or error")
	fs.StringVar(&f.log.Format, "log-format", logText, "text or json")
	return cmd
}

func (a *app) dev(ctx context.Context, f devFlags, portNamed bool) (err error) {
	cfg := defaultConfig()
	cfg.Log = f.log
	if err := cfg.validate(); err != nil {
		return err
	}
	log, level := f.log.logger(a.stderr)
	dir := f.dataDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pipesync-dev-"); err != nil {
			return fmt.Errorf("making a temporary directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	port := f.httpPort
	if _, found, _ := loadDevState(dir); found && !portNamed {
		port = -1 // as the last time
	}
	d, err := openDev(ctx, dir, f.nodes, port, log, a.fatal(log))
	if err != nil {
		return err
	}
	noise := &devNoise{level: level, wanted: level.Level()}
	noise.hide()
	defer func() {
		noise.hide()
		err = errors.Join(err, d.stop(context.Cause(ctx)))
	}()
	return a.runDev(ctx, d, noise, f.dataDir == "")
}

// devNoise keeps to itself what nodes that all start or stop at once complain
// of, unless more than warnings is wanted: faults are told by the end of dev.
type devNoise struct {
	level  *slog.LevelVar
	wanted slog.Level
}

func (n *devNoise) hide() {
	if n.wanted >= slog.LevelWarn {
		n.level.Set(slog.LevelError + 1)
	}
}

func (n *devNoise) show() { n.level.Set(n.wanted) }

// runDev starts d's nodes, tells people and programs about them once they are
// ready, and runs them until ctx ends or one fails.
func (a *app) runDev(ctx context.Context, d *devCluster, noise *devNoise, temporary bool) error {
	if err := d.start(ctx); err != nil {
		return interruptedIsFine(ctx, err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- d.run(running)
	}()
	err := a.announceDev(running, d, temporary)
	if err != nil {
		stop()
	} else {
		noise.show()
	}
	// Where a node failed, that is why the announcement was cut short.
	if fault := <-ended; fault != nil {
		return &exitError{code: exitRemote, err: fault}
	}
	return interruptedIsFine(ctx, err)
}

// interruptedIsFine drops the fault of a start that was interrupted: stopping is
// how a development cluster ends.
func interruptedIsFine(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// devInfo is what dev prints once the cluster is ready.
type devInfo struct {
	Nodes          []devNode `json:"nodes"`
	APIKey         string    `json:"api_key"`
	AdminToken     string    `json:"admin_token"`
	OrganizationID string    `json:"organization_id"`
	VectorStoreID  string    `json:"vector_store_id"`
	Dashboard      string    `json:"dashboard"` // empty: there is none
}

type devNode struct {
	ID   string `json:"id"`
	HTTP string `json:"http"`
	Peer string `json:"peer"`
}

func (a *app) announceDev(ctx context.Context, d *devCluster, temporary bool) error {
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	key, err := d.apiKey(ctx)
	if err != nil {
		return err
	}
	info := devInfo{APIKey: key, AdminToken: d.adminToken, OrganizationID: devOrg, VectorStoreID: devStore}
	leader := ""
	for _, n := range d.members() {
		b := n.bound()
		info.Nodes = append(info.Nodes, devNode{ID: b.NodeID, HTTP: b.HTTP, Peer: b.Peer})
		if n.cluster.Status().Role == cluster.RoleLeader {
			leader = b.NodeID
		}
	}
	return a.print(info, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "A Pipesync cluster of %d nodes is ready.\n\n", len(info.Nodes))
		for _, n := range info.Nodes {
			note := ""
			if n.ID == leader {
				note = " (leads)"
			}
			fmt.Fprintf(w, "  %s\t%s%s\n", n.ID, n.HTTP, note)
		}
		note := ""
		if temporary {
			note = " (removed at the end; --data-dir keeps it)"
		}
		fmt.Fprintf(w, "  API key\t%s\n  admin token\t%s\n", info.APIKey, info.AdminToken)
		fmt.Fprintf(w, "  organization\t%s\n  vector store\t%s\n", info.OrganizationID, info.VectorStoreID)
		fmt.Fprintf(w, "  data\t%s%s\n\nTry it:\n\n%s\n\nCtrl-C stops it.\n", d.dir, note, info.curl())
	})
}

// curl is a line that works when pasted into a shell. It goes to the last node:
// any takes it.
func (i devInfo) curl() string {
	return fmt.Sprintf(`  curl -sS %s/v1/pipeline/sync -H 'X-API-Key: %s' -H 'Content-Type: application/json' -d '{"organization_id":"%s","sync_mode":"incremental","operations":[{"action":"upsert","id":"doc-1","namespace":"docs","data":{"title":"Hello"}}]}'`,
		i.Nodes[len(i.Nodes)-1].HTTP, i.APIKey, i.OrganizationID)
}
