package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newLeaderCommand(a *app) *cobra.Command {
	transfer := adminCommand(a, &cobra.Command{
		Use:   "transfer [NODE]",
		Short: "Hand leadership to NODE, or to any other voter",
		Args:  cobra.MaximumNArgs(1),
	}, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		node := ""
		if len(args) == 1 {
			node = args[0]
		}
		leader, err := c.TransferLeadership(cmd.Context(), node)
		if err != nil {
			return fmt.Errorf("transferring leadership: %w", err)
		}
		return a.print(leader, func(w *tabwriter.Writer) { fmt.Fprintf(w, "node %s leads\n", leader.LeaderID) })
	})
	return group("leader", "Move leadership", transfer)
}
