package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"pipesync/client"
	"pipesync/internal/bench/load"
	"pipesync/internal/bench/plot"
)

// growthDir of docs has a file and a figure for each curve; docs/growth.md explains them.
const growthDir = "growth"

// curve is how costs go up with one thing while all others stay as they are.
type curve struct {
	Name    string  `json:"name"`
	X       string  `json:"x"` // what grows
	Machine machine `json:"machine"`
	Lines   []*line `json:"lines"`
	measure func(context.Context, *growing) error
}

// line is what is measured of one thing as X grows.
type line struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Points []point `json:"points"`
}

type point struct {
	X     float64 `json:"x"`
	Value float64 `json:"value"` // of latencies the median
	// P99 and Rate are of latencies alone: in ms, and records by the second.
	P99  float64 `json:"p99_ms,omitempty"`
	Rate float64 `json:"records_per_second,omitempty"`
}

// newCurves are in the order in which they are measured, each in clusters of its own.
func newCurves() []*curve {
	return []*curve{
		{Name: "operations", X: "operations in a request", measure: growOperations},
		{Name: "values", X: "bytes of data in a record", measure: growValues},
		{Name: "namespaces", X: "namespaces of a store, 100,000 records in all", measure: growNamespaces},
		{Name: "organizations", X: "organizations", measure: growOrganizations},
		{Name: "records", X: "records in a namespace", measure: growRecords},
	}
}

// measureCurves does so with those whose names begin as l.only, and prints or saves each as
// soon as it is there.
func measureCurves(ctx context.Context, l *lab, out io.Writer) error {
	for _, c := range newCurves() {
		if !strings.HasPrefix(c.Name, l.only) {
			continue
		}
		fmt.Fprintln(l.progress, "growing", c.Name)
		if err := c.run(ctx, l); err != nil {
			return fmt.Errorf("growing %s: %w", c.Name, err)
		}
		if err := c.print(out); err != nil {
			return err
		}
		if l.save {
			if err := c.save(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *curve) run(ctx context.Context, l *lab) error {
	c.Machine = lookAround(ctx)
	return errors.Join(c.measure(ctx, &growing{lab: l, curve: c}), l.stop())
}

// growing is a cluster in which something grows: none before anew.
type growing struct {
	*lab
	*pipesync
	curve *curve
}

// anew has an empty cluster in the place of the last one, and warms it up.
func (g *growing) anew(ctx context.Context) (err error) {
	if err := g.stop(); err != nil {
		return err
	}
	if g.pipesync, err = g.lab.pipesync(ctx, nil); err != nil {
		return err
	}
	// Windows of a second, and room for as many namespaces as are wanted: here no limit
	// is to be what costs.
	if _, err := g.cluster.Client("").SetSettings(ctx, client.Figures{"window_ms": 1000, "store_namespaces_max": 1_000_000}); err != nil {
		return err
	}
	_, err = g.Run(ctx, single(load.Fresh, 64, 2000, load.Spread))
	return err
}

// add adds a point.
func (g *growing) add(name, unit string, p point) {
	i := slices.IndexFunc(g.curve.Lines, func(l *line) bool { return l.Name == name })
	if i < 0 {
		i = len(g.curve.Lines)
		g.curve.Lines = append(g.curve.Lines, &line{Name: name, Unit: unit})
	}
	g.curve.Lines[i].Points = append(g.curve.Lines[i].Points, p)
	fmt.Fprintf(g.progress, "%s: %s at %s: %.3g %s\n", g.curve.Name, name, plot.Number(p.X), p.Value, unit)
}

// time adds the latency of a job's requests.
func (g *growing) time(ctx context.Context, name string, x int, where *place, j load.Job) (load.Figures, error) {
	f, err := g.in(ctx, where, j)
	if err != nil {
		return f, fmt.Errorf("%s at %d: %w", name, x, err)
	}
	g.add(name, "ms", point{X: float64(x), Value: f.P50, P99: f.P99, Rate: f.RecordsPerSecond()})
	return f, nil
}

// fill makes fresh records, each of so many bytes, until there are so many.
func (g *growing) fill(ctx context.Context, where *place, records, bytes int) error {
	s := system{pipesyncName, func(ctx context.Context, j load.Job) (load.Figures, error) { return g.in(ctx, where, j) }, g.settle}
	return s.fill(ctx, records-where.len(), bytes)
}

func (c *curve) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%s\t\t\tp99 ms\trecords per second\t\n", c.X)
	for _, l := range c.Lines {
		for _, p := range l.Points {
			p99, rate := "", ""
			if p.Rate > 0 {
				p99, rate = fmt.Sprintf("%.2f", p.P99), fmt.Sprintf("%.0f", p.Rate)
			}
			fmt.Fprintf(table, "%s\t%s\t%.3g %s\t%s\t%s\t\n", plot.Number(p.X), l.Name, p.Value, l.Unit, p99, rate)
		}
	}
	return table.Flush()
}

func (c *curve) save(ctx context.Context) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return write(ctx, map[string]string{
		filepath.Join(growthDir, c.Name+".json"): string(text) + "\n",
		filepath.Join(growthDir, c.Name+".svg"):  c.figure().SVG(),
	})
}

// figure has a panel for each unit.
func (c *curve) figure() plot.Figure {
	f := plot.Figure{Title: c.Machine.String(), X: c.X}
	for _, l := range c.Lines {
		i := slices.IndexFunc(f.Panels, func(p plot.Panel) bool { return p.Y == l.Unit })
		if i < 0 {
			i = len(f.Panels)
			f.Panels = append(f.Panels, plot.Panel{Y: l.Unit})
		}
		drawn := plot.Line{Name: l.Name}
		for _, p := range l.Points {
			drawn.Points = append(drawn.Points, plot.Point{X: p.X, Y: p.Value})
		}
		f.Panels[i].Lines = append(f.Panels[i].Lines, drawn)
	}
	return f
}
