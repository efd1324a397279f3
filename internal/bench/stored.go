package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipesync/internal/testcluster"
)

const (
	storedName = "benchmarks.json"
	pageName   = "benchmarks.md"
	// maxDrop is how far below a stored ratio a ratio may be.
	maxDrop = 0.25
)

func docs(ctx context.Context, name string) (string, error) {
	root, err := testcluster.ModuleRoot(ctx)
	return filepath.Join(root, "docs", name), err
}

// write puts files beside the other documents.
func write(ctx context.Context, files map[string]string) error {
	for name, content := range files {
		path, err := docs(ctx, name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { // #nosec G301 -- for people to read
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil { // #nosec G306 -- for people to read
			return err
		}
	}
	return nil
}

func (r *report) save(ctx context.Context) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return write(ctx, map[string]string{storedName: string(text) + "\n", pageName: r.page()})
}

// readStored reads the report that was saved last.
func readStored(ctx context.Context) (*report, error) {
	path, err := docs(ctx, storedName)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the stored ratios, which --save writes: %w", err)
	}
	var stored report
	if err := json.Unmarshal(text, &stored); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &stored, nil
}

// comparable has an error where a run of these options would be another than the stored.
func (r *report) comparable(o options) error {
	if r.Existing != o.existing || r.TLS != o.tls {
		return fmt.Errorf("docs/%s is of %d records (TLS: %t), this run of %d (%t): a check needs the same", storedName, r.Existing, r.TLS, o.existing, o.tls)
	}
	return nil
}

// against holds the ratios against the stored ones. Rates say little on another machine.
func (r *report) against(stored *report) error {
	var dropped []error
	compared := 0
	for _, before := range stored.Works {
		i := slices.IndexFunc(r.Works, func(w workLine) bool { return w.Work == before.Work })
		if i < 0 {
			continue // not measured this time
		}
		for _, was := range before.Ratios {
			k := slices.IndexFunc(r.Works[i].Ratios, func(is ratio) bool { return is.To == was.To })
			if k < 0 {
				continue
			}
			compared++
			if is := r.Works[i].Ratios[k].Is; is < was.Is*(1-maxDrop) {
				dropped = append(dropped, fmt.Errorf("%s, to %s: %.2f, and it was %.2f", before.Work, was.To, is, was.Is))
			}
		}
	}
	if compared == 0 {
		return fmt.Errorf("no ratio of this run is in docs/%s: nothing was checked", storedName)
	}
	return errors.Join(dropped...)
}

// page is the report in Markdown.
func (r *report) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Written by `+"`./scripts/bench --save`"+`: three processes of Pipesync, three of etcd (its embed package), and the bare ceiling, which is three
replicas of hashicorp/raft, raft-boltdb and Pebble in one process, with Pipesync's settings, that write blindly the same bytes, without
HTTP, keys, limits, TLS or reads. All of them on one machine, and each work is done by one after the other, in turn: %d
repetitions, of which the medians count. Records have %d bytes of data, and there are %d of them before the first request that is
measured. Requests to Pipesync go through HTTP, keys and limits.

Rates depend on the machine, ratios less: `+"`./scripts/bench --check`"+` fails where one of them is a quarter below the one here.

%s

| %s |
|%s
`, r.Repetitions, recordBytes, r.Existing, r.Machine, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, row := range r.rows() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	b.WriteString(`
A ratio is Pipesync's rate by that of the system in its row, or by its own in another work; with '(p50)' it is the other's p50 by
Pipesync's. More is better.
`)
	if len(r.Facts) == 0 {
		return b.String()
	}
	b.WriteString("\n| Pipesync alone | | target |\n|---|---|---|\n")
	for _, f := range r.Facts {
		value, target := f.texts()
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.Name, value, target)
	}
	return b.String()
}

// String is a sentence of the pages.
func (m machine) String() string {
	return fmt.Sprintf("Measured on %s at %s: %d cores of %s, %s, %s.", m.Day, m.Revision, m.CPUs, m.Processor, m.Kernel, m.GoVersion)
}
