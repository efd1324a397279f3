package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"
)

// expressions are those of the alerts and of the dashboard, by where they stand.
// Whether Prometheus can parse them, and what they come to, deploy/prometheus tests.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text := mustRead(t, "../../deploy/prometheus/rules.yml")
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	text = mustRead(t, "../../deploy/grafana/dashboard.json")
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			found["alert "+r.Alert] = r.Expr
		}
	}
	for _, p := range dashboard.Panels {
		for i, target := range p.Targets {
			found[fmt.Sprintf("panel %q, query %d", p.Title, i)] = target.Expr
		}
	}
	if len(found) < 50 {
		t.Fatalf("found only %d expressions", len(found))
	}
	return found
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var (
	familyName  = regexp.MustCompile(`\b(?:pipesync|raft|memberlist|process|go)_\w+`)
	familyLabel = regexp.MustCompile(`\b(pipesync_\w+)\{([^}]*)\}`)
	labelValue  = regexp.MustCompile(`(\w+)="([^"$]*)"`)
)

// namesServedAlone wants each family that the alerts and the dashboard name to be
// served, with the labels that they ask for.
func namesServedAlone(t *testing.T, families []*dto.MetricFamily) {
	served := map[string]bool{}
	labels := map[string]bool{}
	for _, f := range families {
		served[f.GetName()] = true
		if f.GetType() == dto.MetricType_HISTOGRAM {
			served[f.GetName()+"_bucket"] = true
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[f.GetName()+" "+l.GetName()+" "+l.GetValue()] = true
			}
		}
	}
	for place, expr := range expressions(t) {
		for _, name := range familyName.FindAllString(expr, -1) {
			if !served[name] {
				t.Errorf("%s names %s, which no node serves", place, name)
			}
		}
		for _, m := range familyLabel.FindAllStringSubmatch(expr, -1) {
			for _, l := range labelValue.FindAllStringSubmatch(m[2], -1) {
				if name := strings.TrimSuffix(m[1], "_bucket"); l[1] != "job" && !labels[name+" "+l[1]+" "+l[2]] {
					t.Errorf("%s asks for %s with %s=%q, which no node serves", place, m[1], l[1], l[2])
				}
			}
		}
	}
}
