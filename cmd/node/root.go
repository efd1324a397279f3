package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// app is what all commands share.
type app struct {
	process
	format string // of the output: table, json or yaml
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "pipesync",
		Short: "A highly available server that pipelines push record changes to",
		Long: `Pipesync takes batches of record changes from pipelines, commits each whole to a
replicated log, and keeps the namespaces of vector stores the same on every node.

Exit codes: 0 done; 1 usage, configuration or this machine; 2 the API or the
server; 3 degraded or no quorum; 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.checkFormat()
		},
	}
	root.PersistentFlags().StringVarP(&a.format, "output", "o", formatTable, "output: table, json or yaml")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newServeCommand(a),
		newDevCommand(a),
		newJoinCommand(a),
		newLeaveCommand(a),
		newStatusCommand(a),
		newMembersCommand(a),
		newLeaderCommand(a),
		newScrubCommand(a),
		newKeysCommand(a),
		newStoresCommand(a), newOrgsCommand(a), newNamespacesCommand(a), newCheckpointsCommand(a),
		newLimitsCommand(a),
		newSettingsCommand(a),
		newBackupCommand(a), newRestoreCommand(a), newRecoverCommand(a), newReseedCommand(a),
		newGossipKeysCommand(a),
		newCertsCommand(a),
		newTokensCommand(a), newAdminTokenCommand(a),
		newConfigCommand(a),
		newVersionCommand(a),
	)
	return root
}

// group makes a command that only has subcommands, and that refuses others
// instead of showing its help with exit code 0.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use:   use,
		Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			cmd.SuggestionsMinimumDistance = 2
			text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
			}
			return &exitError{code: exitLocal, err: fmt.Errorf("%s", text), hint: cmd.CommandPath() + " --help"}
		},
	}
	g.AddCommand(commands...)
	return g
}

// flagError adds the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	if _, name, found := strings.Cut(text, "unknown flag: --"); found {
		if near := nearestFlag(cmd, name); near != "" {
			text += "; did you mean --" + near + "?"
		}
	}
	return &exitError{code: exitLocal, err: fmt.Errorf("%s", text), hint: cmd.CommandPath() + " --help"}
}
