package main

import (
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newLimitsCommand(a *app) *cobra.Command {
	return group("limits", "Show and set an organization's limits", newLimitsGet(a), newLimitsSet(a))
}

func newLimitsGet(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "get ORGANIZATION", Short: "Show an organization's limits", Args: exactArgs(1, "the organization, org_…")}
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		limits, err := c.Limits(cmd.Context(), args[0])
		if err != nil {
			return fmt.Errorf("asking for the limits of %s: %w", args[0], err)
		}
		return a.printLimits(limits)
	})
}

func newLimitsSet(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "set ORGANIZATION NAME=VALUE...",
		Short:   "Set the limits that are named; 0 takes back to the settings'",
		Example: "  pipesync limits set org_acme requests_per_window=300",
		Args: func(cmd *cobra.Command, args []string) error {
			return exactArgs(1, "an organization, org_…, and NAME=VALUE")(cmd, args[:min(1, len(args))])
		},
	}
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		change, err := parseFigures(args[1:])
		if err != nil {
			return err
		}
		limits, err := c.SetLimits(cmd.Context(), args[0], change)
		if err != nil {
			return fmt.Errorf("setting the limits of %s: %w", args[0], err)
		}
		return a.printLimits(limits)
	})
}

func describeUsage(u client.Usage) string {
	return fmt.Sprintf("%d records of %d bytes, %d tombstones, %d namespaces, digest %s", u.Records, u.Bytes, u.Tombstones, u.Namespaces, u.Digest)
}

func (a *app) printLimits(limits client.Limits) error {
	return a.print(limits, func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "LIMIT\tOWN\tEFFECTIVE")
		for _, name := range slices.Sorted(maps.Keys(limits.Effective)) {
			own := "-"
			if limits.Limits[name] != 0 {
				own = fmt.Sprint(limits.Limits[name])
			}
			fmt.Fprintf(w, "%s\t%s\t%d\n", name, own, limits.Effective[name])
		}
		fmt.Fprintf(w, "\nstored: %s\n", describeUsage(limits.Usage))
	})
}
