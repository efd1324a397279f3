package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// totalsName is the file beside the summaries that totals writes.
const totalsName = "README.md"

// writeTotals writes the page about all runs whose summaries are in dir.
func writeTotals(dir string) error {
	page, err := totals(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, totalsName), []byte(page), 0o644) // #nosec G306 -- for people to read
}

// totals is that page.
func totals(dir string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return "", err
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("there are no summaries in %s: copy there what runs have left as %s", dir, summaryName)
	}
	var runs []*summary
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		s := &summary{}
		if err := json.Unmarshal(text, s); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		if len(s.Checks) == 0 {
			return "", errors.New(path + ": it isn't a summary: it has no checks")
		}
		runs = append(runs, s)
	}
	slices.SortFunc(runs, func(a, b *summary) int { return cmp.Compare(a.Seed, b.Seed) })
	return page(runs), nil
}

func page(runs []*summary) string {
	var b strings.Builder
	requests := 0
	for _, s := range runs {
		requests += s.Requests
	}
	kinds, total := faultTotals(runs)
	fmt.Fprintf(&b, `# What was run under faults

Written by `+"`./scripts/jepsen --totals docs/jepsen`"+` from the summaries beside it. What clients do, what is done to the cluster and what
is checked is told in [test/jepsen](../../test/jepsen/README.md).

%d requests and %d faults of %d kinds, each proven to have had an effect.

| seed | version | nodes | minutes | requests | organizations by limit | faults | promises broken |
|---|---|---|---|---|---|---|---|
`, requests, total, len(kinds))
	for _, s := range runs {
		made := 0
		for _, f := range s.Faults {
			made += f.Proven
		}
		fmt.Fprintf(&b, "| %d | %s | %d | %d | %d | %s | %d | %s |\n", s.Seed, s.Version, s.Nodes, s.Seconds/60, s.Requests, s.organizations(), made, s.broken())
	}
	b.WriteString("\n## Faults\n\n| kind | made | without an effect |\n|---|---|---|\n")
	for _, f := range kinds {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", f.Kind, f.Proven, f.Idle)
	}
	b.WriteString("\n## Checks\n\nFigures of all runs together, or of the run that has most where a name says so.\n\n| check | looked at | anomalies |\n|---|---|---|\n")
	for _, c := range checkTotals(runs) {
		fmt.Fprintf(&b, "| %s | %s | %d |\n", c.Name, c.figures(), c.Anomalies)
	}
	return b.String()
}

func (s *summary) organizations() string {
	var list []string
	for _, limit := range slices.Sorted(maps.Keys(s.Organizations)) {
		list = append(list, fmt.Sprintf("%d: %d", limit, s.Organizations[limit]))
	}
	return strings.Join(list, ", ")
}

// broken names the checks that have found something.
func (s *summary) broken() string {
	var list []string
	for _, c := range s.Checks {
		if c.Anomalies > 0 {
			list = append(list, c.Name)
		}
	}
	return cmp.Or(strings.Join(list, ", "), "none")
}

// faultTotals has each kind that was made, in the order of the table of kinds, and how
// many were proven.
func faultTotals(runs []*summary) (kinds []faultCount, proven int) {
	var names []string
	counts := map[string]faultCount{}
	for _, f := range faults {
		names = append(names, f.kind)
	}
	for _, s := range runs {
		for _, f := range s.Faults {
			sum := counts[f.Kind]
			counts[f.Kind] = faultCount{f.Kind, sum.Proven + f.Proven, sum.Idle + f.Idle}
			proven += f.Proven
		}
	}
	for _, name := range names {
		if c, made := counts[name]; made {
			kinds = append(kinds, c)
		}
	}
	return kinds, proven
}

// checkTotals adds up what checks have looked at: the largest of what is one.
func checkTotals(runs []*summary) (all []checkSummary) {
	for _, s := range runs {
		for _, c := range s.Checks {
			i := slices.IndexFunc(all, func(a checkSummary) bool { return a.Name == c.Name })
			if i < 0 {
				i = len(all)
				all = append(all, checkSummary{Name: c.Name, Figures: map[string]int{}})
			}
			all[i].Anomalies += c.Anomalies
			for name, n := range c.Figures {
				if strings.HasPrefix(name, "longest") || strings.HasPrefix(name, "fullest") {
					all[i].Figures[name] = max(all[i].Figures[name], n)
				} else {
					all[i].Figures[name] += n
				}
			}
		}
	}
	return all
}
