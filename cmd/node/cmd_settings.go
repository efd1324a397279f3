package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/client"
)

func newSettingsCommand(a *app) *cobra.Command {
	return group("settings", "Show and change the settings of the whole cluster", newSettingsGet(a), newSettingsSet(a))
}

func newSettingsGet(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "get", Short: "Show the settings", Args: cobra.NoArgs}
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		settings, err := c.Settings(cmd.Context())
		if err != nil {
			return fmt.Errorf("asking for the settings: %w", err)
		}
		return a.printFigures(settings)
	})
}

func newSettingsSet(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "set NAME=VALUE...",
		Short:   "Set the settings that are named, on all nodes at once",
		Example: "  pipesync settings set requests_per_window=300 idempotency_retention_seconds=172800",
		Args:    cobra.ArbitraryArgs,
	}
	return adminCommand(a, cmd, defaultClientTimeout, func(cmd *cobra.Command, c *client.Client, args []string) error {
		change, err := parseFigures(args)
		if err != nil {
			return err
		}
		settings, err := c.SetSettings(cmd.Context(), change)
		if err != nil {
			return fmt.Errorf("changing the settings: %w", err)
		}
		return a.printFigures(settings)
	})
}

// parseFigures reads NAME=VALUE; which names there are, the server knows.
func parseFigures(args []string) (client.Figures, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("nothing is set: say NAME=VALUE, such as requests_per_window=300")
	}
	figures := client.Figures{}
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not NAME=VALUE, such as requests_per_window=300", arg)
		}
		value, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is %q: it must be a whole number", name, text)
		}
		if _, twice := figures[name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		figures[name] = value
	}
	return figures, nil
}

func (a *app) printFigures(figures client.Figures) error {
	return a.print(figures, func(w *tabwriter.Writer) {
		for _, name := range slices.Sorted(maps.Keys(figures)) {
			fmt.Fprintf(w, "%s\t%d\n", name, figures[name])
		}
	})
}
