package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newCheckpointsCommand(a *app) *cobra.Command {
	return group("checkpoints", "Show and delete the checkpoints of pipelines", newCheckpointsGet(a), newCheckpointsDelete(a))
}

func newCheckpointsGet(a *app) *cobra.Command {
	return keyCommand(a, &cobra.Command{
		Use:     "get PIPELINE",
		Short:   "Show how far a pipeline has got",
		Example: "  pipesync checkpoints get crm/contacts --api-key-file key.txt",
		Args:    exactArgs(1, "the name of the pipeline"),
	}, func(cmd *cobra.Command, c *client.Client, args []string) error {
		stored, err := c.Checkpoint(cmd.Context(), args[0], client.ReadOptions{})
		if err != nil {
			return fmt.Errorf("reading the checkpoint of %s: %w", args[0], err)
		}
		return a.print(stored, func(w *tabwriter.Writer) {
			fmt.Fprintf(w, "pipeline\t%s\n", stored.Pipeline)
			fmt.Fprintf(w, "state\t%s\n", stored.State)
			fmt.Fprintf(w, "sync\t%s\n", stored.SyncID)
			fmt.Fprintf(w, "index\t%d\n", stored.Index)
			fmt.Fprintf(w, "updated\t%s\n", stored.UpdatedAt.Format(time.RFC3339))
		})
	})
}

func newCheckpointsDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete PIPELINE --yes",
		Short:   "Forget how far a pipeline has got, so that it begins anew",
		Example: "  pipesync checkpoints delete crm/contacts --yes --api-key-file key.txt",
		Args:    exactArgs(1, "the name of the pipeline"),
	}
	yesFlag(cmd, &yes, "it shall be gone")
	return keyCommand(a, cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if !yes {
			return unconfirmed("the checkpoint of " + args[0])
		}
		gone, err := c.DeleteCheckpoint(cmd.Context(), args[0])
		if err != nil {
			return fmt.Errorf("deleting the checkpoint of %s: %w", args[0], err)
		}
		return a.print(gone, func(w *tabwriter.Writer) {
			fmt.Fprintf(w, "the checkpoint of %s is deleted, at index %d\n", gone.Pipeline, gone.Index)
		})
	})
}
