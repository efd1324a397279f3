package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipesync/test/jepsen/check"
	"pipesync/test/jepsen/history"
)

func TestTotals(t *testing.T) {
	dir := t.TempDir()
	if _, err := totals(dir); err == nil || !strings.Contains(err.Error(), "there are no summaries") {
		t.Errorf("of an empty directory: %v", err)
	}
	for i, seed := range []string{"a", "b"} {
		h := &history.History{Seed: uint64(i), Version: "v1", Nodes: 3 + 2*i, Limits: map[string]int{"o": 100, "p": 200, probeOrg: 9},
			Ops: []history.Op{{Requests: 20 + i, Outcome: history.OK, Sync: &history.Sync{}}, {Requests: 1, Outcome: history.Fail, Code: "X", Read: &history.Read{}}},
			Faults: []history.Fault{
				{Kind: faults[0].kind, Proof: "seen"}, {Kind: faults[1].kind, Proof: "seen"}, {Kind: faults[1].kind},
			}}
		checks := []*check.Report{{Name: "first", Figures: map[string]int{"reads": 5, "longest in ms": 7 + i}}, {Name: "second"}}
		if i == 1 {
			checks[1].Anomalies = []check.Anomaly{{What: "torn"}}
		}
		text, err := json.Marshal(summarize(h, checks))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, seed+".json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page, err := totals(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"43 requests and 4 faults of 2 kinds",
		"| 0 | v1 | 3 | 0 | 21 | 100: 1, 200: 1 | 2 | none |",
		"| 1 | v1 | 5 | 0 | 22 | 100: 1, 200: 1 | 2 | second |",
		"| " + faults[1].kind + " | 2 | 2 |",
		"| first | longest in ms 8, reads 10 | 0 |",
		"| second |  | 1 |",
	} {
		if !strings.Contains(page, line+"\n") && !strings.Contains(page, line+",") {
			t.Errorf("there is no %q in\n%s", line, page)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "c.json"), []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := totals(dir); err == nil || !strings.Contains(err.Error(), "it isn't a summary") {
		t.Errorf("of something else: %v", err)
	}
}

// TestTheReportIsThatOfItsSummaries: docs/jepsen has no figure that no run has given.
func TestTheReportIsThatOfItsSummaries(t *testing.T) {
	const dir = "../../docs/jepsen"
	want, err := totals(dir)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(dir, totalsName))
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s isn't what ./scripts/jepsen --totals docs/jepsen writes", filepath.Join(dir, totalsName))
	}
}
