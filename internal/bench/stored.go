package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"pipesync/internal/testcluster"
)

const (
	storedName = "benchmarks.json"
	pageName   = "benchmarks.md"
	figureName = "benchmarks.svg"
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
	return write(ctx, map[string]string{storedName: string(text) + "\n", pageName: r.page(), figureName: r.bars().SVG()})
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
