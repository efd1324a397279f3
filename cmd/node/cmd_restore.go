package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm"
	"pipesync/internal/durable"
)

func newRestoreCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE|-",
		Short: "Make of a backup the data directory of a node that is a cluster of its own",
		Long: `Make of a backup the data directory of a node that is a cluster of its own. No node
may run on it; the directory must be empty or missing. Afterwards 'serve' starts
it, and others join it with empty directories, as many as you like.

It has all that the backup has: records, keys, limits, history, rate windows. The
cluster id, the epoch, the CA, the gossip key and the admin token are new ones: nodes of the old cluster
stay apart from it, and whoever follows changes has to begin anew.`,
		Example: `  pipesync restore monday.pipesync --data-dir data
  pipesync serve --data-dir data`,
		Args: exactArgs(1, "the file of a backup, or - for the standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(cmd.Flags(), a.getenv)
			if err != nil {
				return err
			}
			return a.restore(cmd.Context(), cfg, args[0])
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

// unfinishedRestore is behind the name of a directory that isn't complete.
const unfinishedRestore = ".restoring"

func (a *app) restore(ctx context.Context, cfg Config, path string) error {
	secrets, err := cfg.readSecrets()
	if err != nil {
		return err
	}
	dir := filepath.Clean(cfg.DataDir)
	if names, err := os.ReadDir(dir); len(names) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &exitError{code: exitLocal, err: errors.Join(fmt.Errorf("%s isn't empty: a restore replaces nothing", dir), err),
			hint: "move it away, or name another --data-dir"}
	}
	// All is made under another name: a directory has the name that 'serve' is told
	// only once it is whole.
	unfinished := dir + unfinishedRestore
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing what an earlier restore has left: %w", err)
	}
	summary, err := a.restoreTo(ctx, cfg, secrets, unfinished, path)
	if err == nil {
		err = os.Rename(unfinished, dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("restoring %s: %w", path, err), os.RemoveAll(unfinished))
	}
	if err := durable.SyncDir(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("restoring %s: %w", path, err)
	}
	return a.printBackup(summary)
}

func (a *app) restoreTo(ctx context.Context, cfg Config, secrets secrets, dir, path string) (backupSummary, error) {
	s, err := newSeeding(cfg, dir, cfg.NodeID, a.stateOptions(cfg))
	if err != nil {
		return backupSummary{}, err
	}
	token := secrets.adminToken
	if token == "" {
		if token, err = readOrMakeSecret(filepath.Join(dir, adminTokenName), mintAdminToken); err != nil {
			return backupSummary{}, err
		}
	}
	s.seed.AdminTokenHash = sha256.Sum256([]byte(token))
	summary, err := a.readBackup(ctx, path, func(state io.Reader) (fsm.BackupInfo, error) { return fsm.SeedFrom(state, s.options, s.seed) })
	if err != nil {
		return backupSummary{}, err
	}
	if err := s.node.Plant(dir, summary.Term); err != nil {
		return backupSummary{}, err
	}
	summary.ClusterID, summary.Epoch = s.node.ClusterID, fmt.Sprintf("%x", s.seed.Epoch)
	return summary, nil
}

// stateOptions are for a state that no node runs on, without Dir.
func (a *app) stateOptions(cfg Config) fsm.Options {
	return fsm.Options{
		CacheBytes: cfg.Disk.CacheBytes, Logger: slog.New(slog.DiscardHandler), Fatal: a.fatal(slog.New(slog.NewTextHandler(a.stderr, nil))),
	}
}

// seeding is a data directory in the making, of a node that is a cluster of its own.
type seeding struct {
	node    cluster.Seed
	seed    fsm.Seed
	options fsm.Options
}

// newSeeding makes the directory, and mints what is new in it. o is without Dir.
func newSeeding(cfg Config, dir, nodeID string, o fsm.Options) (*seeding, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	node, err := seedNode(cfg, dir, nodeID)
	if err != nil {
		return nil, err
	}
	s := &seeding{node: node, options: o, seed: fsm.Seed{ClusterID: node.ClusterID, NodeID: node.NodeID, PeerAddr: cmp.Or(cfg.Peer.Advertise, cfg.Peer.Addr)}}
	_, _ = rand.Read(s.seed.Epoch[:]) // never fails: see crypto/rand
	s.options.Dir = filepath.Join(dir, stateName)
	return s, nil
}

// seedNode is who the node will be. As when it forms a cluster, it makes a CA and a
// certificate unless there is one, which then says which cluster it is.
func seedNode(cfg Config, dir, nodeID string) (cluster.Seed, error) {
	if cfg.Insecure {
		return cluster.NewSeed(nodeID)
	}
	shown, err := certs.Open(cmp.Or(cfg.Peer.CertsDir, filepath.Join(dir, certsName)), time.Now)
	if err != nil {
		return cluster.Seed{}, err
	}
	self := shown.Self()
	node, err := cluster.NewSeed(cmp.Or(nodeID, self.NodeID))
	if err != nil {
		return cluster.Seed{}, err
	}
	if self.NodeID != "" && self.NodeID != node.NodeID {
		return cluster.Seed{}, fmt.Errorf("the certificate in %s: expected node %s, found %s: %w", shown.Dir(), node.NodeID, self.NodeID, certs.ErrWrongNode)
	}
	node.ClusterID, err = shown.Found(node.ClusterID, node.NodeID)
	return node, err
}
