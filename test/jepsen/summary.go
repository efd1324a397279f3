package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipesync/test/jepsen/check"
	"pipesync/test/jepsen/history"
)

// summary is a run in a few figures: what is kept of those whose histories aren't.
type summary struct {
	Seed          uint64           `json:"seed"`
	Version       string           `json:"version"` // of the program
	Nodes         int              `json:"nodes"`
	Seconds       int              `json:"seconds"` // from the first request to the last
	Requests      int              `json:"requests"`
	Organizations map[int]int      `json:"organizations"` // by limit
	Operations    map[string]int   `json:"operations"`    // by kind, outcome and code
	Faults        []faultCount     `json:"faults"`        // by kind
	NotRun        []history.NotRun `json:"not_run,omitempty"`
	Checks        []checkSummary   `json:"checks"`
}

// faultCount says how often a kind of fault was made, with an effect and without one.
type faultCount struct {
	Kind   string `json:"kind"`
	Proven int    `json:"proven"`
	Idle   int    `json:"idle,omitempty"`
}

type checkSummary struct {
	Name      string         `json:"name"`
	Figures   map[string]int `json:"figures"`
	Anomalies int            `json:"anomalies"`
}

func summarize(h *history.History, checks []*check.Report) *summary {
	s := &summary{Seed: h.Seed, Version: h.Version, Nodes: h.Nodes, Organizations: map[int]int{}, Operations: map[string]int{}, NotRun: h.NotRun}
	for org, limit := range h.Limits {
		if org != probeOrg {
			s.Organizations[limit]++
		}
	}
	for _, op := range h.Ops {
		s.Requests += op.Requests
		s.Seconds = max(s.Seconds, int(op.Invoked.Seconds()))
		kind := "read"
		if op.Sync != nil {
			kind = "sync"
		}
		s.Operations[strings.TrimSpace(fmt.Sprintf("%s %s %s", kind, op.Outcome, op.Code))]++
	}
	for _, f := range faults {
		count := faultCount{Kind: f.kind}
		for _, made := range h.Faults {
			switch {
			case made.Kind != f.kind:
			case made.Proof == "":
				count.Idle++
			default:
				count.Proven++
			}
		}
		if count.Proven+count.Idle > 0 {
			s.Faults = append(s.Faults, count)
		}
	}
	for _, c := range checks {
		s.Checks = append(s.Checks, checkSummary{c.Name, c.Figures, len(c.Anomalies) + c.Untold})
	}
	return s
}

// String is what was done, for the terminal and the report.
func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests of", s.Requests)
	for _, limit := range slices.Sorted(maps.Keys(s.Organizations)) {
		fmt.Fprintf(&b, " %d organizations with a limit of %d", s.Organizations[limit], limit)
	}
	b.WriteByte('\n')
	for _, kind := range slices.Sorted(maps.Keys(s.Operations)) {
		fmt.Fprintf(&b, "%8d %s\n", s.Operations[kind], kind)
	}
	for _, f := range s.Faults {
		fmt.Fprintf(&b, "%8d %s", f.Proven, f.Kind)
		if f.Idle > 0 {
			fmt.Fprintf(&b, " (and %d without an effect)", f.Idle)
		}
		b.WriteByte('\n')
	}
	for _, f := range s.NotRun {
		fmt.Fprintf(&b, " NOT RUN %s: %s\n", f.Kind, f.Why)
	}
	return b.String()
}

// String says what a check has looked at.
func (c checkSummary) String() string {
	state := "held"
	if c.Anomalies > 0 {
		state = fmt.Sprintf("BROKEN %d times", c.Anomalies)
	}
	return state + ": " + c.figures()
}

func (c checkSummary) figures() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c.Figures)) {
		list = append(list, fmt.Sprintf("%s %d", name, c.Figures[name]))
	}
	return strings.Join(list, ", ")
}
