package main

import (
	"fmt"
	"strings"
	"time"

	"pipesync/internal/planted"
	"pipesync/internal/seeds"
)

// trap says what has to catch a planted bug.
type trap struct {
	bug planted.Bug
	// alone has it live in one node: one that writes otherwise than the others. Else it
	// is live in all.
	alone bool
	scenario
	check string // that has to break
	// slow says why CI doesn't draw it; empty: it does.
	slow string
}

// scenario is what the clients and the nemesis of a run do. Runs of one scenario differ by
// their seeds.
type scenario struct {
	faults string // as of --fault
	time   time.Duration
}

var (
	// written has one of everything that the state machine writes.
	written = scenario{faults: "kill of a member", time: 12 * time.Second}
)

var traps = []trap{
	{bug: planted.WallWindow, alone: true, scenario: written, check: "replicas"},
	{bug: planted.NoTombstone, alone: true, scenario: written, check: "replicas"},
	{bug: planted.FloorForTombstones, alone: true, scenario: written, check: "replicas"},
}

// chooseTraps picks those to try: one by its bug, so many of the day, or all. Samples of
// following days follow each other, so that each that isn't slow comes round.
func chooseTraps(bug string, sample int) ([]trap, error) {
	if bug != "" {
		var names []string
		for _, t := range traps {
			if string(t.bug) == bug {
				return []trap{t}, nil
			}
			names = append(names, string(t.bug))
		}
		return nil, fmt.Errorf("--planted is %q: it must be one of %s", bug, strings.Join(names, ", "))
	}
	if sample <= 0 {
		return traps, nil
	}
	var quick []trap
	for _, t := range traps {
		if t.slow == "" {
			quick = append(quick, t)
		}
	}
	number, err := seeds.Day()
	if err != nil {
		return nil, err
	}
	date, err := time.Parse("20060102", fmt.Sprint(number))
	if err != nil {
		return nil, fmt.Errorf("reading the day of %s: %w", seeds.DayEnv, err)
	}
	first := int(date.Unix()/86_400) * sample
	var chosen []trap
	for i := range min(sample, len(quick)) {
		chosen = append(chosen, quick[(first+i)%len(quick)])
	}
	return chosen, nil
}
