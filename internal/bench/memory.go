package main

import (
	"fmt"
	"os"
	"strings"
)

// Lines of proc_pid_status(5).
const (
	memoryPeak   = "VmHWM"   // since resetPeak, or ever
	memoryOwn    = "RssAnon" // what the process itself has allocated
	memoryMapped = "RssFile" // pages of files, the log's above all, which the kernel takes away when it needs room
)

// memoryMiB is what a process has in memory; the line has KiB.
func memoryMiB(pid int, which string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if _, err := fmt.Sscanf(line, which+": %f kB", &kib); err == nil {
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, which)
}

// resetPeak has a process's peak begin at what it has in memory now: 5 in
// proc_pid_clear_refs(5).
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
