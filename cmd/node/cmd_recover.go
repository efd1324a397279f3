package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/cluster"
	"pipesync/fsm"
	"pipesync/storage"
)

func newRecoverCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "recover --yes",
		Short: "Make a new cluster of one member, when the others of its quorum are lost for good",
		Long: `Make a new cluster of one member, when so many others are lost for good that there
is no quorum any more. Stop it first, and give its settings; of several that are
left take the one with the highest last_log_index in 'status'.

What was acknowledged and had not reached this member is lost, and what had reached
it without being acknowledged is kept. Cluster id and epoch are new: members of the
old cluster that come back stay apart from it. They, and others, join it with empty
directories. The old directory is kept beside the new one.`,
		Example: `  pipesync recover --yes --data-dir data
  pipesync serve --data-dir data`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), a.getenv)
			if err != nil {
				return err
			}
			if !yes {
				return &exitError{code: exitLocal,
					err:  errors.New("what was acknowledged and had not reached this member will be lost for good"),
					hint: "bring back enough of the other members, or give --yes"}
			}
			return a.recover(cmd.Context(), cfg)
		},
	}
	cmd.AddCommand(newRecoverAdminToken(a))
	cmd.Flags().BoolVar(&yes, "yes", false, "go on although acknowledged writes may be lost")
	addConfigFlags(cmd.Flags())
	return cmd
}

// recovered is what has come of a recovery.
type recovered struct {
	NodeID       string `json:"node_id"`
	OldClusterID string `json:"old_cluster_id"`
	ClusterID    string `json:"cluster_id"`
	Index        uint64 `json:"index"`
	Term         uint64 `json:"term"`
	Kept         string `json:"kept"`
}

func (a *app) recover(ctx context.Context, cfg Config) error {
	var done recovered
	r := replacement{doing: "recovering", kept: ".before-recover", unfinished: ".recovering"}
	kept, err := r.replace(ctx, cfg.DataDir, func(dir, unfinished string) (err error) {
		done, err = a.recoverTo(cfg, dir, unfinished)
		return err
	})
	if err != nil {
		return err
	}
	done.Kept = kept
	return a.print(done, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "node\t%s is cluster %s now, and was a member of %s\n", done.NodeID, done.ClusterID, done.OldClusterID)
		fmt.Fprintf(w, "entry\t%d of term %d is its last\n", done.Index, done.Term)
		fmt.Fprintf(w, "kept\t%s\n", done.Kept)
	})
}

func (a *app) recoverTo(cfg Config, dir, unfinished string) (done recovered, err error) {
	o := a.stateOptions(cfg)
	o.Dir = filepath.Join(dir, stateName)
	state, err := fsm.Open(o)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	survivor, err := cluster.Replay(dir, state, o.Fatal)
	if err != nil {
		return done, err
	}
	set, err := settingsOf(state)
	if err != nil {
		return done, err
	}
	copied, err := state.Backup()
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	s, err := newSeeding(cfg, unfinished, survivor.NodeID, o)
	if err != nil {
		return done, err
	}
	if s.node.ClusterID == survivor.ClusterID {
		return done, fmt.Errorf("the certificate in %s is for %s, and the recovered cluster must be another: remove it, or put one for another cluster there",
			cfg.certsDir(), survivor.ClusterID)
	}
	s.seed.AdminTokenHash = set.AdminTokenHash
	if err := copyAdminToken(dir, unfinished); err != nil {
		return done, err
	}
	out, in := io.Pipe()
	go func() {
		_, err := copied.WriteTo(in)
		_ = in.CloseWithError(err)
	}()
	info, err := fsm.SeedFrom(out, s.options, s.seed)
	_ = out.Close()
	if err == nil {
		err = s.node.Plant(unfinished, max(survivor.Term, info.AppliedTerm))
	}
	return recovered{
		NodeID: s.node.NodeID, OldClusterID: survivor.ClusterID, ClusterID: s.node.ClusterID,
		Index: info.AppliedIndex, Term: info.AppliedTerm,
	}, err
}

func settingsOf(state *fsm.FSM) (storage.Settings, error) {
	view, err := state.View()
	if err != nil {
		return storage.Settings{}, err
	}
	defer view.Close()
	set, found, err := view.Settings()
	if err == nil && !found {
		err = errors.New("the state has no settings yet: there is nothing to recover")
	}
	return set, err
}
