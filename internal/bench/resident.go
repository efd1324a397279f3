package main

import (
	"fmt"
	"os"
	"strings"
)

// peakMiB is the most that a process has had in memory since resetPeak, or ever: VmHWM of
// proc_pid_status(5), in KiB there.
func peakMiB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d has no VmHWM", pid)
}

// resetPeak has a process's peak begin at what it has in memory now: 5 in
// proc_pid_clear_refs(5).
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
