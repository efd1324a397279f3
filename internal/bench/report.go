package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"pipesync/internal/bench/load"
)

// report is what a run has measured.
type report struct {
	Machine     machine    `json:"machine"`
	Existing    int        `json:"existing_records"`
	Repetitions int        `json:"repetitions"`
	TLS         bool       `json:"tls"`
	Works       []workLine `json:"works"`
	Facts       []fact     `json:"facts"`
}

// machine is where and by what something was measured, as far as it can be learnt.
type machine struct {
	Day       string `json:"day"`
	Revision  string `json:"revision"` // of the tree; + where more than documents were changed
	GoVersion string `json:"go_version"`
	CPUs      int    `json:"cpus"`
	Processor string `json:"processor"`
	Kernel    string `json:"kernel"`
}

// workLine is one work.
type workLine struct {
	Work   string          `json:"work"`
	Rates  map[string]rate `json:"rates"` // by system
	Ratios []ratio         `json:"ratios"`
}

// rate is records, or requests of one operation, by the second: medians over the
// repetitions.
type rate struct {
	Median  float64 `json:"median"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

// ratio is of Pipesync's rate to the other's, or of the other's p50 to Pipesync's.
type ratio struct {
	To      string  `json:"to"` // a system, or an earlier work of Pipesync
	Latency bool    `json:"latency,omitempty"`
	Is      float64 `json:"is"`
	AtLeast float64 `json:"at_least,omitempty"` // 0: there is no target
}

func newReport(o options, m machine, results []*result, facts []fact) *report {
	r := &report{Machine: m, Existing: o.existing, Repetitions: o.repetitions, TLS: o.tls, Facts: facts}
	ours := map[string]rate{} // by work
	for _, result := range results {
		if result.system == pipesyncName {
			ours[result.work.name] = newRate(result.repetitions)
		}
	}
	for _, w := range works {
		if _, measured := ours[w.name]; !measured {
			continue
		}
		line := workLine{Work: w.name, Rates: map[string]rate{}}
		for _, result := range results {
			if result.work.name == w.name {
				line.Rates[result.system] = newRate(result.repetitions)
			}
		}
		for _, a := range w.peer {
			other, has := line.Rates[a.name]
			if a.to == "" {
				other, has = ours[a.name]
			}
			if has {
				line.Ratios = append(line.Ratios, a.ratio(ours[w.name], other))
			}
		}
		r.Works = append(r.Works, line)
	}
	return r
}

func (a against) ratio(ours, other rate) ratio {
	r := ratio{To: a.name, Latency: a.latency, Is: ours.Median / other.Median, AtLeast: a.least}
	if a.latency {
		r.Is = other.P50 / ours.P50
	}
	return r
}

func newRate(repetitions []load.Figures) rate {
	of := func(figure func(load.Figures) float64) []float64 {
		var all []float64
		for _, f := range repetitions {
			all = append(all, figure(f))
		}
		slices.Sort(all)
		return all
	}
	rates := of(load.Figures.RecordsPerSecond)
	return rate{
		Median: median(rates), Lowest: rates[0], Highest: rates[len(rates)-1],
		P50: median(of(func(f load.Figures) float64 { return f.P50 })),
		P99: median(of(func(f load.Figures) float64 { return f.P99 })),
	}
}

// median of sorted values, of which there is at least one; of an even number the mean of
// the two in the middle.
func median(sorted []float64) float64 {
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// lookAround describes this machine and the tree in the working directory.
func lookAround(ctx context.Context) machine {
	m := machine{Day: time.Now().UTC().Format(time.DateOnly), GoVersion: runtime.Version(), CPUs: runtime.NumCPU()}
	said := func(name string, args ...string) string {
		text, err := exec.CommandContext(ctx, name, args...).Output()
		if err != nil {
			return "" // what can't be learnt is left out
		}
		return strings.TrimSpace(string(text))
	}
	m.Revision = said("git", "rev-parse", "--short=12", "HEAD")
	if said("git", "status", "--porcelain", "--", ":/", ":(top,exclude)docs") != "" {
		m.Revision += "+"
	}
	m.Kernel = said("uname", "-sr")
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m
}

// rows are the lines of the table of works: the rates, and beside each what it is held
// against, with the target.
func (r *report) rows() (rows [][]string) {
	for _, w := range r.Works {
		for _, system := range systemNames {
			x, has := w.Rates[system]
			if !has {
				continue
			}
			is, target := "", ""
			for _, ratio := range w.Ratios {
				if ratio.To == system {
					is, target = ratio.texts()
				}
			}
			rows = append(rows, []string{w.Work, system, fmt.Sprintf("%.0f", x.Median), fmt.Sprintf("%.0f–%.0f", x.Lowest, x.Highest),
				fmt.Sprintf("%.2f", x.P50), fmt.Sprintf("%.2f", x.P99), is, target})
		}
		for _, ratio := range w.Ratios {
			if !slices.Contains(systemNames, ratio.To) {
				is, target := ratio.texts()
				rows = append(rows, []string{w.Work, "to: " + ratio.To, "", "", "", "", is, target})
			}
		}
	}
	return rows
}

func (r ratio) texts() (is, target string) {
	is = fmt.Sprintf("%.2f", r.Is)
	if r.Latency {
		is += " (p50)"
	}
	if r.AtLeast > 0 {
		target = fmt.Sprintf("≥ %.2f%s", r.AtLeast, missed(r.Is < r.AtLeast))
	}
	return is, target
}

func (f fact) texts() (value, target string) {
	value = strings.TrimSpace(fmt.Sprintf("%.3g %s", f.Value, f.Unit))
	if f.AtMost != nil {
		target = fmt.Sprintf("≤ %.3g%s", *f.AtMost, missed(f.Value > *f.AtMost))
	}
	return value, target
}

func missed(is bool) string {
	if is {
		return " missed"
	}
	return ""
}

var columns = []string{"work", "system", "per second", "lowest–highest", "p50 ms", "p99 ms", "ratio", "target"}

func (r *report) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{columns}, r.rows()...) {
		fmt.Fprintln(table, strings.Join(row, "\t")+"\t")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, f := range r.Facts {
		value, target := f.texts()
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", f.Name, value, target)
	}
	return table.Flush()
}
