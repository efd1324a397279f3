package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/cluster"
	"pipesync/internal/durable"
)

func newReseedCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reseed --yes",
		Short: "Have a member begin anew whose disk has rotted or whose state isn't the others'",
		Long: `Have a member begin anew whose disk has rotted or whose state isn't the others'. Stop
it first, and give its settings. It keeps its node id, its certificates and its admin
token, and nothing else; the old directory is kept beside the new one.

It gets its state from the others when it joins again. They let it in once it has
been taken out of the cluster: it has forgotten for whom it voted and what it had
acknowledged, and as a voter it could undo what is committed.`,
		Example: `  pipesync leave n2 --addr 10.0.0.1:8800
  pipesync reseed --yes --data-dir data
  pipesync serve --data-dir data
  pipesync join 10.0.0.1:8801 --token-file token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), a.getenv)
			if err != nil {
				return err
			}
			if !yes {
				return &exitError{code: exitLocal,
					err:  errors.New("the node will have nothing of its log and its state any more"),
					hint: "make sure that the others have a quorum without it (pipesync members), and give --yes"}
			}
			return a.reseed(cmd.Context(), cfg)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "go on although the node loses what it has")
	addConfigFlags(cmd.Flags())
	return cmd
}

// reseeded is what has come of a reseed.
type reseeded struct {
	NodeID    string `json:"node_id"`
	ClusterID string `json:"cluster_id"` // that it was a member of
	Kept      string `json:"kept"`
}

func (a *app) reseed(ctx context.Context, cfg Config) error {
	var done reseeded
	r := replacement{doing: "reseeding", kept: ".before-reseed", unfinished: ".reseeding"}
	kept, err := r.replace(ctx, cfg.DataDir, func(dir, unfinished string) error {
		if err := durable.MakeDir(unfinished); err != nil {
			return err
		}
		if err := copyAdminToken(dir, unfinished); err != nil {
			return err
		}
		if rel, err := filepath.Rel(dir, cfg.certsDir()); err == nil && filepath.IsLocal(rel) {
			if err := copyFiles(cfg.certsDir(), filepath.Join(unfinished, rel)); err != nil {
				return err
			}
		}
		was, err := cluster.Reseed(dir, unfinished)
		done.NodeID, done.ClusterID = was.NodeID, was.ClusterID
		return err
	})
	if err != nil {
		return err
	}
	done.Kept = kept
	return a.print(done, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "node\t%s begins anew; it was a member of %s\n", done.NodeID, done.ClusterID)
		fmt.Fprintf(w, "kept\t%s\n", done.Kept)
		fmt.Fprintf(w, "next\tat another node 'pipesync leave %s', unless that is done; then start this one, and 'pipesync join PEER_ADDR'\n", done.NodeID)
	})
}

// copyFiles copies the files of a directory, if there is one, as 0600.
func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := durable.MakeDir(to); err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := durable.Replace(to, e.Name(), content); err != nil {
			return err
		}
	}
	return nil
}
