package main

import (
	"slices"
	"testing"

	"pipesync/internal/planted"
)

func TestSamplesOfFollowingDaysComeRound(t *testing.T) {
	tried := map[planted.Bug]bool{}
	for _, day := range []string{"20061229", "20061230", "20061231", "20070101", "20070102", "20070103", "20070104", "20070105"} {
		chosen, err := choose("", 4, day)
		if err != nil || len(chosen) != 4 {
			t.Fatalf("%s: %d chosen, %v", day, len(chosen), err)
		}
		for _, c := range chosen {
			tried[c.bug] = true
		}
	}
	for _, trap := range traps {
		if !tried[trap.bug] {
			t.Errorf("%s was tried on none of 8 days", trap.bug)
		}
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose("", 0, ""); err != nil || !slices.Equal(all, traps) {
		t.Errorf("%d of %d chosen, %v", len(all), len(traps), err)
	}
	if one, err := choose(string(planted.NoChecksum), 5, ""); err != nil || len(one) != 1 || one[0].bug != planted.NoChecksum {
		t.Errorf("%v, %v", one, err)
	}
	for _, bad := range [][2]string{{"no-such-bug", ""}, {"", "today"}} {
		if _, err := choose(bad[0], 1, bad[1]); err == nil {
			t.Errorf("bug %q, day %q: no error", bad[0], bad[1])
		}
	}
}
