package main

import (
	"testing"
	"time"
)

func TestOfElections(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for line, want := range map[string]bool{
		`time=2026-03-01T12:00:00.001Z level=WARN msg="heartbeat timeout reached" component=raft`: true,
		`time=2026-03-01T12:00:00.001Z level=INFO msg="entering follower state" component=raft`:   true,
		`time=2026-03-01T12:00:00.001Z level=WARN msg="writes wait for flushes or compactions"`:   true,
		`time=2026-03-01T12:00:00.001Z level=ERROR msg=broken`:                                    true,
		`time=2026-03-01T11:59:59.999Z level=WARN msg="heartbeat timeout reached" component=raft`: false,
		`time=2026-03-01T12:00:00.001Z level=INFO msg=request`:                                    false,
		`---- 2026-03-01T12:00:00.001Z [pipesync serve]`:                                          false,
		`time=`: false,
	} {
		if got := ofElections(line, since); got != want {
			t.Errorf("%s: %t", line, got)
		}
	}
}
