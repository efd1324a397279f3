package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newLeaveCommand(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "leave [NODE]",
		Short: "Take a node out of the cluster for good: the one asked, or NODE",
		Long: `Take a node out of the cluster's configuration for good: the node asked, or
NODE. To stop a node that shall come back, stop its process instead.

It is refused where the rest could not commit any more, unless --force is given.`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&force, "force", false, "even if the cluster loses its quorum")
	return adminCommand(a, cmd, defaultJoinTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		var node string
		if len(args) == 1 {
			node = args[0]
		} else {
			if len(c.Addrs()) > 1 {
				return errors.New("--addr names several nodes: name only the one that shall leave, or say which NODE")
			}
			status, err := c.Status(cmd.Context())
			if err != nil {
				return fmt.Errorf("asking the node for its name: %w", err)
			}
			node = status.NodeID
		}
		removed, err := c.RemoveMember(cmd.Context(), node, force)
		if err != nil {
			return fmt.Errorf("removing node %s: %w", node, err)
		}
		return a.print(removed, func(w *tabwriter.Writer) {
			fmt.Fprintf(w, "node %s has left the cluster\n", removed.NodeID)
		})
	})
}
