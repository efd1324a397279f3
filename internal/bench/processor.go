package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"pipesync/internal/testcluster"
)

// clockTicks is what Linux counts processor time in, for every program: USER_HZ.
const clockTicks = time.Second / 100

// processorTime is what all nodes have taken so far: utime and stime, fields 14
// and 15 of proc_pid_stat(5). It is 0 where there is no /proc.
func processorTime(c *testcluster.Cluster) (total time.Duration, err error) {
	for _, n := range c.Nodes {
		path := fmt.Sprintf("/proc/%d/stat", n.Process().Pid())
		stat, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		// The second field is a name in parentheses, which may hold anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 13 {
			return 0, fmt.Errorf("reading %s: %d fields", path, len(fields))
		}
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseInt(string(field), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading %s: %w", path, err)
			}
			total += time.Duration(ticks) * clockTicks
		}
	}
	return total, nil
}
