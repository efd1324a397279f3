package testcluster

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// alarming are words in a log that no test may leave behind: a crash that was
// not asked for, or a report of the race detector.
var alarming = []string{"WARNING: DATA RACE", "panic:", "fatal error:", "goroutine stack exceeds"}

const maxLogLine = 4 << 20 // bytes

// Alarms returns an error with each line of the nodes' logs that tells of a
// crash or a data race; nil if there is none.
func (c *Cluster) Alarms() error {
	var errs []error
	for _, n := range c.all() {
		if err := n.alarms(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", n.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (n *Node) alarms() error {
	log, err := os.Open(n.Log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // never started
	}
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	var errs []error
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, maxLogLine)
	for after := 0; lines.Scan(); after-- {
		for _, word := range alarming {
			if strings.Contains(lines.Text(), word) {
				after = 40 // the stack that follows
			}
		}
		if after > 0 {
			errs = append(errs, errors.New(lines.Text()))
		}
	}
	return errors.Join(append(errs, lines.Err())...)
}
