package main

import (
	"fmt"
	"strings"

	"pipesync/internal/bench/plot"
)

// page is the report in Markdown.
func (r *report) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Written by `+"`./scripts/bench --save`"+`: three processes of Pipesync, three of etcd (its embed package), and the bare ceiling, which is three
replicas of hashicorp/raft, raft-boltdb and Pebble in one process, with Pipesync's settings and raft-boltdb's own append, that write blindly the same bytes, without
HTTP, keys, limits, TLS or reads. All of them on one machine, and each work is done by one after the other, then all works of its group
again: %d repetitions, each with the works in another order, of which the medians count. Records have %d bytes of data, and there are %d of them before the first request that is
measured. Requests to Pipesync go through HTTP, keys and limits. A work of
batches has %d of them, in all repetitions more than Pebble's first level takes before it is merged. Each system's compactions, or whatever else it
goes on with, have ended before the next system is measured.

Rates depend on the machine, ratios less: `+"`./scripts/bench --check`"+` fails where one of them is a quarter below the one here.

%s

![Rates of the three systems](%s)

| %s |
|%s
`, r.Repetitions, recordBytes, r.Existing, batchRequests, r.Machine, figureName, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
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

// bars are the rates of each work.
func (r *report) bars() plot.Bars {
	b := plot.Bars{Title: "Records, or requests of one operation, by the second"}
	for _, w := range r.Works {
		group := plot.Group{Name: w.Work}
		for _, system := range systemNames {
			if x, has := w.Rates[system]; has {
				group.Bars = append(group.Bars, plot.Bar{Name: system, Label: fmt.Sprintf("%.0f", x.Median), Value: x.Median})
			}
		}
		b.Groups = append(b.Groups, group)
	}
	return b
}
