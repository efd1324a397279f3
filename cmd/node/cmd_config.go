package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

//go:embed sample.yaml
var sampleConfig string

func newConfigCommand(a *app) *cobra.Command {
	check := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration that 'serve' would use with the same flags",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), a.getenv)
			if err == nil {
				_, err = cfg.readSecrets()
			}
			if err != nil {
				return err
			}
			return a.print(map[string]bool{"ok": true}, func(w *tabwriter.Writer) { fmt.Fprintln(w, "ok") })
		},
	}
	addConfigFlags(check.Flags())
	show := &cobra.Command{
		Use:   "show",
		Short: "Show the configuration that 'serve' would use, secrets left out",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), a.getenv)
			if err != nil {
				return err
			}
			return a.printConfig(cfg)
		},
	}
	addConfigFlags(show.Flags())
	example := &cobra.Command{
		Use:     "example",
		Short:   "Print a configuration file with every setting explained",
		Example: "  pipesync config example > pipesync.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.stdout, sampleConfig)
			return err
		},
	}
	return group("config", "Check, show and explain the configuration", check, show, example)
}

// printConfig prints cfg as a file that would give the same, but for secrets.
func (a *app) printConfig(cfg Config) error {
	for _, s := range settings {
		if p, ok := s.pick(&cfg).(*string); ok && s.secret && *p != "" {
			*p = "(hidden)"
		}
	}
	text, err := yaml.Marshal(cfg)
	if err == nil && a.format == formatJSON {
		text, err = yaml.YAMLToJSON(text)
	}
	if err != nil {
		return fmt.Errorf("encoding the configuration: %w", err)
	}
	_, err = fmt.Fprintln(a.stdout, strings.TrimRight(string(text), "\n"))
	return err
}
