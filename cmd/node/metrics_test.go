package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "rewrite the generated parts of the documents")

const metricsDocument = "../../docs/metrics.md"

func TestMetrics(t *testing.T) {
	families := servedFamilies(t)
	var own []*dto.MetricFamily
	for _, f := range families {
		if isOwn(f.GetName()) {
			own = append(own, f)
		}
	}
	t.Run("document", func(t *testing.T) { sameAsDocumented(t, families, documentedFamilies(writeOwnFamilies(t, own))) })
	t.Run("lint", func(t *testing.T) {
		problems, err := promlint.NewWithMetricFamilies(own).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
	t.Run("names nobody", func(t *testing.T) { namesNobody(t, families) })
	t.Run("alerts and dashboard", func(t *testing.T) { namesServedAlone(t, families) })
}

// sameAsDocumented wants docs/metrics.md to have what a running node serves, and of
// our own families nothing else.
func sameAsDocumented(t *testing.T, families []*dto.MetricFamily, documented map[string]familyRow) {
	for _, f := range families {
		name := f.GetName()
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		got, ok := documented[name]
		if want := rowOf(f); !ok || isOwn(name) && got != want || got.kind != want.kind || got.labels != want.labels {
			t.Errorf("the document says %+v of %s, a node %+v: run go test ./cmd/node -run TestMetrics -update, or correct the table by hand", got, name, want)
		}
		delete(documented, name)
	}
	for name := range documented {
		if isOwn(name) {
			t.Errorf("the document has %s, and no node", name)
		}
	}
}

// namesNobody looks for what is of one client in everything that is served.
func namesNobody(t *testing.T, families []*dto.MetricFamily) {
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				for _, name := range []string{devOrg, devStore, testNamespace, "psk_"} {
					if strings.Contains(l.GetValue(), name) {
						t.Errorf("%s has the label %s=%q", f.GetName(), l.GetName(), l.GetValue())
					}
				}
			}
		}
	}
}

// testNamespace is where the node of the test has a record.
const testNamespace = "docs-of-one-client"

func isOwn(name string) bool {
	return strings.HasPrefix(name, "pipesync_") || strings.HasPrefix(name, "raft_boltdb_")
}

// servedFamilies are those of a node that has done a little of everything.
func servedFamilies(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), maxTestWait)
	d, err := openDev(ctx, t.TempDir(), 1, 0, slog.New(slog.DiscardHandler), func(err error) { panic(err) })
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	if err := d.start(ctx); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- d.run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ended
		if err := d.stop(ctx.Err()); err != nil {
			t.Error(err)
		}
	})
	if err := d.awaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	key, err := d.apiKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	addr := d.httpAddrs()[0]
	push(t, addr, key, devOrg, testNamespace, "1")
	wantRecord(t, addr, key, devStore, testNamespace, "1")
	r, err := http.Get(addr + "/v1/vector-stores/" + devStore + "/namespaces") // without a key
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	families, err := d.nodes[0].registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`pipesync_entries_total{kind="sync",outcome="ok"} 1`, `pipesync_admissions_total{outcome="admitted"} `,
		`pipesync_proposals_total{outcome="decided"} `, `pipesync_sync_outcomes_total{outcome="done"} 1`,
		`pipesync_http_errors_total{code="MISSING_API_KEY"} 1`, `pipesync_sync_records_total{change="created"} 1`,
		`pipesync_sync_operations_total{} 1`, `pipesync_ready{} 1`, `pipesync_raft_role{role="leader"} 1`, `pipesync_members{state="alive"} 1`,
	} {
		if !slices.ContainsFunc(series(families), func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("there is no %s among\n%s", want, strings.Join(series(families), "\n"))
		}
	}
	return families
}

// series of our own counters and gauges, as lines.
func series(families []*dto.MetricFamily) []string {
	var lines []string
	for _, f := range families {
		if !isOwn(f.GetName()) {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			lines = append(lines, fmt.Sprintf("%s{%s} %v", f.GetName(), strings.Join(labels, ","), m.GetCounter().GetValue()+m.GetGauge().GetValue()))
		}
	}
	return lines
}

// familyRow is a line of the document's tables.
type familyRow struct{ kind, labels, unit, meaning string }

func rowOf(f *dto.MetricFamily) familyRow {
	var labels []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
	}
	slices.Sort(labels)
	return familyRow{
		kind: strings.ToLower(f.GetType().String()), labels: strings.Join(slices.Compact(labels), ", "),
		unit: unitOf(f.GetName()), meaning: f.GetHelp(),
	}
}

// unitOf is the one that the name ends in, as Prometheus wants it.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return ""
}

var (
	ownFamilies  = regexp.MustCompile(`(?s)(<!-- families:[^\n]*-->\n).*(<!-- end of families -->)`)
	documentLine = regexp.MustCompile("(?m)^\\| `([a-zA-Z0-9_]+)` \\| (\\w+) \\| (.*?) ?\\| (\\w*) ?\\| (.*) \\|$")
)

// writeOwnFamilies returns the document, rewritten where that was asked for.
func writeOwnFamilies(t *testing.T, own []*dto.MetricFamily) string {
	t.Helper()
	text, err := os.ReadFile(metricsDocument)
	if err != nil {
		t.Fatal(err)
	}
	if !*update {
		return string(text)
	}
	var table strings.Builder
	table.WriteString("| family | type | labels | unit | meaning |\n|---|---|---|---|---|\n")
	slices.SortFunc(own, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	for _, f := range own {
		r := rowOf(f)
		line := strings.Join([]string{"| `" + f.GetName() + "`", r.kind, r.labels, r.unit, r.meaning + " |\n"}, " | ")
		table.WriteString(strings.ReplaceAll(line, "|  ", "| "))
	}
	text = ownFamilies.ReplaceAll(text, []byte("${1}\n"+strings.ReplaceAll(table.String(), "$", "$$")+"\n${2}"))
	if err := os.WriteFile(metricsDocument, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func documentedFamilies(text string) map[string]familyRow {
	rows := map[string]familyRow{}
	for _, m := range documentLine.FindAllStringSubmatch(text, -1) {
		rows[m[1]] = familyRow{kind: m[2], labels: m[3], unit: m[4], meaning: m[5]}
	}
	return rows
}
