package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

const defaultJoinTimeout = 60 * time.Second

func newJoinCommand(a *app) *cobra.Command {
	var token, tokenFile string
	var nonvoter bool
	cmd := &cobra.Command{
		Use:   "join PEER_ADDR",
		Short: "Make the local node join the cluster that has a member at PEER_ADDR",
		Long: `Make the local node join the cluster that has a member at PEER_ADDR, its peer
port. Returns once the node is in the committed configuration and has caught up.

--token is of 'pipesync tokens create' at a member of the cluster to join: with it the
node gets its certificate. --admin-token-file is that of the local node, which the
command speaks to.`,
		Example: "  pipesync join 10.0.0.1:8801 --token-file cluster-token --admin-token-file /var/lib/pipesync/admin-token",
		Args:    exactArgs(1, "the peer address of a member"),
	}
	cmd.Flags().StringVar(&token, "token", "", "token of the cluster to join (env PIPESYNC_JOIN_TOKEN)")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with that token (env PIPESYNC_JOIN_TOKEN_FILE)")
	cmd.Flags().BoolVar(&nonvoter, "nonvoter", false, "join as a reader that never votes")
	cmd.MarkFlagsMutuallyExclusive("token", "token-file")
	return adminCommand(a, cmd, defaultJoinTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if err := checkAddr("PEER_ADDR", args[0]); err != nil {
			return err
		}
		if len(c.Addrs()) > 1 {
			return errors.New("--addr names several nodes: name only the one that shall join")
		}
		joinToken, err := a.joinToken(token, tokenFile)
		if err != nil {
			return err
		}
		joined, err := c.Join(cmd.Context(), client.JoinRequest{Peer: args[0], Token: joinToken, Nonvoter: nonvoter})
		if err != nil {
			err = fmt.Errorf("joining the cluster at %s: %w", args[0], err)
			if errors.Is(err, context.DeadlineExceeded) {
				return &exitError{code: exitRemote, err: err,
					hint: "the node may be a member that still catches up: pipesync status --wait ready"}
			}
			return err
		}
		return a.print(joined, func(w *tabwriter.Writer) {
			part := "voter"
			if !joined.Voter {
				part = "nonvoter"
			}
			fmt.Fprintf(w, "node %s is a caught-up %s of cluster %s\n", joined.NodeID, part, joined.ClusterID)
		})
	})
}

func (a *app) joinToken(token, file string) (string, error) {
	if token == "" && file == "" {
		token, file = a.getenv(envPrefix+"JOIN_TOKEN"), a.getenv(envPrefix+"JOIN_TOKEN_FILE")
	}
	text, err := secret(token, file)
	if err != nil {
		return "", fmt.Errorf("reading the join token: %w", err)
	}
	if text == "" {
		return "", &exitError{code: exitLocal, err: errors.New("there is no join token"), hint: refusalHints["JOIN_REFUSED"]}
	}
	return text, nil
}

// exactArgs refuses any other number of arguments, naming what is expected.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return &exitError{code: exitLocal,
			err:  fmt.Errorf("%s takes %s; %d arguments were given", cmd.CommandPath(), what, len(args)),
			hint: cmd.CommandPath() + " --help"}
	}
}
