package main

import (
	"strings"
	"testing"
)

func TestReadMetric(t *testing.T) {
	const text = "# HELP pipesync_a a\npipesync_a_total 3\npipesync_a 1.2e+06\npipesync_b{c=\"d\"} 5\n"
	if got, err := readMetric(strings.NewReader(text), "pipesync_a"); err != nil || got != 1_200_000 {
		t.Errorf("%d, %v", got, err)
	}
	for _, name := range []string{"pipesync_b", "pipesync_c"} {
		if got, err := readMetric(strings.NewReader(text), name); err == nil {
			t.Errorf("%s is %d", name, got)
		}
	}
}
