package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pipesync/internal/planted"
	"pipesync/internal/seeds"
	"pipesync/test/jepsen/check"
	"pipesync/test/jepsen/history"
)

// Each trap names what there is: a check and kinds of faults.
func TestTraps(t *testing.T) {
	var checks []string
	for _, c := range check.All(&history.History{}) {
		checks = append(checks, c.Name)
	}
	for _, trap := range traps {
		if !slices.Contains(checks, trap.check) {
			t.Errorf("%s: there is no check %q", trap.bug, trap.check)
		}
		for name := range strings.SplitSeq(trap.faults, ",") {
			if !slices.ContainsFunc(faults, func(f fault) bool { return options{only: name}.wanted(f.kind) }) {
				t.Errorf("%s: there is no fault %q", trap.bug, name)
			}
		}
	}
}

// Each planted bug has a trap, or a reason for that it has none.
func TestEachBugIsSpokenOf(t *testing.T) {
	text, err := os.ReadFile("../../internal/planted/planted.go")
	if err != nil {
		t.Fatal(err)
	}
	bugs := regexp.MustCompile(`(?m)^\t\w+ Bug = "(.*)"$`).FindAllStringSubmatch(string(text), -1)
	if len(bugs) < 20 {
		t.Fatalf("found %d bugs", len(bugs))
	}
	for _, b := range bugs {
		bug := planted.Bug(b[1])
		trapped := slices.ContainsFunc(traps, func(t trap) bool { return t.bug == bug })
		if reason := unseen[bug]; trapped != (reason == "") {
			t.Errorf("%s: has a trap: %v, has a reason for having none: %q", bug, trapped, reason)
		}
	}
}

func TestWanted(t *testing.T) {
	for _, c := range []struct {
		only, kind string
		want       bool
	}{
		{"", "kill of all", true},
		{"kill", "kill of all", true},
		{"pause, kill of all", "kill of all", true},
		{"pause,kill of a", "kill of the leader", false},
	} {
		if got := (options{only: c.only}).wanted(c.kind); got != c.want {
			t.Errorf("--fault %q: %q is wanted: %v", c.only, c.kind, got)
		}
	}
}

func TestTrapsOfFollowingDaysComeRound(t *testing.T) {
	tried := map[planted.Bug]bool{}
	for _, day := range []string{"20061230", "20061231", "20070101", "20070102", "20070103", "20070104", "20070105", "20070106", "20070107", "20070108", "20070109"} {
		t.Setenv(seeds.DayEnv, day)
		chosen, err := chooseTraps("", 2)
		if err != nil || len(chosen) != 2 {
			t.Fatalf("%s: %d chosen, %v", day, len(chosen), err)
		}
		for _, c := range chosen {
			tried[c.bug] = true
		}
	}
	for _, trap := range traps {
		if !tried[trap.bug] {
			t.Errorf("%s was tried on none of 11 days", trap.bug)
		}
	}
	if all, err := chooseTraps("", 0); err != nil || len(all) != len(traps) {
		t.Errorf("%d of %d chosen, %v", len(all), len(traps), err)
	}
	if _, err := chooseTraps("no-such-bug", 0); err == nil {
		t.Error("a bug that isn't there: no error")
	}
}
