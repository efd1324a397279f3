package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
)

const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

func (a *app) checkFormat() error {
	switch a.format {
	case formatTable, formatJSON, formatYAML:
		return nil
	}
	return fmt.Errorf("-o is %q: it must be table, json or yaml", a.format)
}

// print writes value as one line of JSON or as YAML, with the API's names, or
// calls table for people.
func (a *app) print(value any, table func(w *tabwriter.Writer)) error {
	if a.format == formatTable {
		w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
		table(w)
		return w.Flush()
	}
	text, err := json.Marshal(value)
	if err == nil && a.format == formatYAML {
		text, err = yaml.JSONToYAML(text)
	}
	if err != nil {
		return fmt.Errorf("encoding the output: %w", err)
	}
	_, err = fmt.Fprintln(a.stdout, strings.TrimRight(string(text), "\n"))
	return err
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// humanBytes are rounded, with the unit that fits them.
func humanBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1<<10 && unit < len(units)-1 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
