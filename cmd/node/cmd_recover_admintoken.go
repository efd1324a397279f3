package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/cluster"
	"pipesync/internal/durable"
)

func newRecoverAdminToken(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "admin-token",
		Short: "Make a new admin token on a member's disk, when the cluster's is lost",
		Long: `Make a new admin token on a member's disk, when the cluster's is lost. Stop the
member first, and give its settings. The token goes to DATA/admin-token. Once
the member runs again and there is a quorum, it is the only one, at every node.`,
		Example: `  systemctl stop pipesync
  pipesync recover admin-token --data-dir /var/lib/pipesync
  systemctl start pipesync
  pipesync status --admin-token-file /var/lib/pipesync/admin-token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), a.getenv)
			if err != nil {
				return err
			}
			return a.recoverAdminToken(cmd.Context(), cfg.DataDir)
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

// recoveredTokenName is the file with the hash of an admin token that its node, once it
// runs, makes the cluster's.
const recoveredTokenName = "admin-token.recovered"

// recoveredToken is what has come of it.
type recoveredToken struct {
	NodeID         string `json:"node_id"`
	ClusterID      string `json:"cluster_id"`
	AdminTokenFile string `json:"admin_token_file"`
}

func (a *app) recoverAdminToken(ctx context.Context, dir string) (err error) {
	done := recoveredToken{AdminTokenFile: filepath.Join(dir, adminTokenName)}
	if done.NodeID, done.ClusterID, err = cluster.Membership(dir); err != nil {
		return fmt.Errorf("recovering the admin token: %w", err)
	}
	if done.ClusterID == "" {
		return &exitError{code: exitLocal, err: fmt.Errorf("recovering the admin token: node %s is a member of no cluster", done.NodeID),
			hint: "its own is in " + done.AdminTokenFile}
	}
	lock, err := lockDir(ctx, dir, maxLockWait)
	if err != nil {
		return &exitError{code: exitLocal, err: fmt.Errorf("recovering the admin token: %w", err), hint: "stop the member first"}
	}
	token := mintAdminToken()
	hash := sha256.Sum256([]byte(token))
	// The token first: of a hash alone nobody would know which it is.
	err = durable.Replace(dir, adminTokenName, []byte(token+"\n"))
	if err == nil {
		err = durable.Replace(dir, recoveredTokenName, []byte(hex.EncodeToString(hash[:])+"\n"))
	}
	if err == nil {
		err = giveToOwnerOf(dir, filepath.Join(dir, adminTokenName), filepath.Join(dir, recoveredTokenName))
	}
	if err := errors.Join(err, lock.release()); err != nil {
		return fmt.Errorf("recovering the admin token: %w", err)
	}
	return a.print(done, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "a new admin token is in %s; it is that of cluster %s once %s runs again\n", done.AdminTokenFile, done.ClusterID, done.NodeID)
	})
}

// copyAdminToken has another data directory of the node go on with its admin token, and
// with one that was recovered and isn't the cluster's yet.
func copyAdminToken(from, to string) error {
	for _, name := range []string{adminTokenName, recoveredTokenName} {
		if err := copySecret(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}
