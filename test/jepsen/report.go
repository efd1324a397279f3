package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "embed"

	"pipesync/test/jepsen/check"
	"pipesync/test/jepsen/history"
)

const (
	reportName  = "report.html"
	summaryName = "summary.json"
	historyName = "history.json"
)

//go:embed report.html.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"seconds": func(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) },
	"around":  around,
}).Parse(reportText))

// recheck checks the history of a run again, and writes its report and summary anew.
func recheck(dir string, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(dir, historyName)) // #nosec G304 -- whoever runs this names it
	if err != nil {
		return err
	}
	var h history.History
	if err := json.Unmarshal(text, &h); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, historyName), err)
	}
	return checked(&h, dir, out)
}

// checked checks a history and writes all down into dir. Its error names the promises that
// were broken.
func checked(h *history.History, dir string, out io.Writer) error {
	checks := check.All(h)
	sum := summarize(h, checks)
	if err := write(dir, h, checks, sum); err != nil {
		return err
	}
	fmt.Fprint(out, sum)
	var broken []string
	for i, c := range checks {
		fmt.Fprintf(out, "%-16s %s\n", c.Name, sum.Checks[i])
		for _, a := range c.Anomalies {
			fmt.Fprintf(out, "    %s %v\n", a.What, a.Ops)
		}
		if !c.OK() {
			broken = append(broken, c.Name)
		}
	}
	fmt.Fprintln(out, "the report is", filepath.Join(dir, reportName))
	if len(broken) > 0 {
		return fmt.Errorf("seed %d: %s", h.Seed, strings.Join(broken, ", "))
	}
	return nil
}

// write writes the history as JSON and as EDN, the report, and what there is to say of
// the run in a few lines.
func write(dir string, h *history.History, checks []*check.Report, sum *summary) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- for people to read
		return err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	short, err := json.MarshalIndent(sum, "", "  ")
	if err != nil {
		return err
	}
	var edn, page bytes.Buffer
	if err := h.WriteEDN(&edn); err != nil {
		return err
	}
	if err := reportTemplate.Execute(&page, newReportData(h, checks, sum)); err != nil {
		return err
	}
	file := func(name string, content []byte) error {
		return os.WriteFile(filepath.Join(dir, name), content, 0o644) // #nosec G306 -- likewise
	}
	return errors.Join(file(historyName, text), file("history.edn", edn.Bytes()), file(reportName, page.Bytes()), file(summaryName, append(short, '\n')))
}

// The picture has the time from left to right, and latencies upwards.
const (
	pictureWidth, pictureHeight = 1200.0, 300.0
	// maxDots are drawn at most.
	maxDots = 20_000
)

type reportData struct {
	*history.History
	Checks   []*check.Report
	Summary  *summary
	Dots     []dot
	Bands    []band
	Slowest  time.Duration
	Duration time.Duration
}

type dot struct {
	X, Y  float64
	Class string
}

type band struct {
	X, Width float64
	Title    string
}

func newReportData(h *history.History, checks []*check.Report, sum *summary) *reportData {
	d := &reportData{History: h, Checks: checks, Summary: sum}
	for _, op := range h.Ops {
		d.Duration = max(d.Duration, op.Returned)
		d.Slowest = max(d.Slowest, op.Returned-op.Invoked)
	}
	scale := pictureWidth / max(d.Duration.Seconds(), 1)
	every := 1 + len(h.Ops)/maxDots
	for i := 0; i < len(h.Ops); i += every {
		op := h.Ops[i]
		height := (op.Returned - op.Invoked).Seconds() / max(d.Slowest.Seconds(), 0.001) * pictureHeight
		d.Dots = append(d.Dots, dot{op.Invoked.Seconds() * scale, pictureHeight - height, string(op.Outcome)})
	}
	for _, f := range h.Faults {
		end := f.Recovered
		if end == 0 {
			end = d.Duration
		}
		d.Bands = append(d.Bands, band{f.Began.Seconds() * scale, (end - f.Began).Seconds() * scale, f.Kind + " on " + strings.Join(f.On, ", ")})
	}
	return d
}

// maxAround operations are shown with an anomaly.
const maxAround = 40

// around are the operations of an anomaly, and those of the same organization that were
// under way meanwhile.
func around(h *history.History, a check.Anomaly) (ops []string) {
	var from, to time.Duration
	orgs := map[string]bool{}
	for _, op := range h.Ops {
		if slices.Contains(a.Ops, op.ID) {
			if len(orgs) == 0 {
				from = op.Invoked
			}
			from, to, orgs[op.Org] = min(from, op.Invoked), max(to, op.Returned), true
		}
	}
	for _, op := range h.Ops {
		if orgs[op.Org] && op.Returned >= from && op.Invoked <= to && len(ops) < maxAround {
			text, err := json.Marshal(op)
			if err != nil {
				text = []byte(err.Error())
			}
			ops = append(ops, string(text))
		}
	}
	return ops
}
