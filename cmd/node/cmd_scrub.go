package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newScrubCommand(a *app) *cobra.Command {
	return adminCommand(a, &cobra.Command{
		Use:   "scrub",
		Short: "Have every node read all its rows, and compare them; 'status' shows what came of it",
		Args:  cobra.NoArgs,
	}, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		begun, err := c.Scrub(cmd.Context())
		if err != nil {
			return fmt.Errorf("asking for a scrub: %w", err)
		}
		return a.print(begun, func(w *tabwriter.Writer) {
			fmt.Fprintf(w, "every node scrubs its state as of entry %d\n", begun.Index)
		})
	})
}
