package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// What is counted has ended when for so long nothing was.
	quietFor     = 3 * time.Second
	stillTimeout = 5 * time.Minute
	pollEvery    = 100 * time.Millisecond

	// A process that has used no more than so much of a core for quietFor rests: heartbeats
	// go on.
	restingShare = 0.05
	tick         = time.Second / 100 // of proc_pid_stat(5), wherever Go runs
)

// resting waits until a process does no more than it does without any load.
func resting(ctx context.Context, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, stillTimeout)
	defer cancel()
	for {
		before, err := cpuTime(pid)
		if err != nil {
			return err
		}
		select {
		case <-time.After(quietFor):
		case <-ctx.Done():
			return fmt.Errorf("process %d goes on working: %w", pid, ctx.Err())
		}
		after, err := cpuTime(pid)
		if err != nil || float64(after-before) <= restingShare*float64(quietFor) {
			return err
		}
	}
}

// cpuTime is what a process has used of all cores.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may have any; user and system time are the 14th and 15th field.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var user, system time.Duration
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d: its stat has %d fields", pid, len(fields))
	}
	if _, err := fmt.Sscan(string(fields[11])+" "+string(fields[12]), &user, &system); err != nil {
		return 0, fmt.Errorf("process %d: reading its times: %w", pid, err)
	}
	return (user + system) * tick, nil
}

// settle waits until there has been no compaction on any node for a while.
func (p *pipesync) settle(ctx context.Context) error {
	_, err := still(ctx, 0, func() (sum float64, err error) {
		for _, n := range p.cluster.Nodes {
			done, err := metric(ctx, p.cluster.HTTPClient(), n.HTTP, "pipesync_storage_compactions_total ")
			if err != nil {
				return 0, err
			}
			sum += done
		}
		return sum, nil
	})
	if err != nil {
		return fmt.Errorf("awaiting the end of compactions: %w", err)
	}
	return nil
}

// still waits until a count is at least so much and has stayed what it is for quietFor, and
// returns since when it is that.
func still(ctx context.Context, least float64, count func() (float64, error)) (since time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, stillTimeout)
	defer cancel()
	last := -1.0
	for {
		now, err := count()
		switch {
		case err != nil:
			return since, err
		case now != last:
			last, since = now, time.Now()
		case now >= least && time.Since(since) > quietFor:
			return since, nil
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return since, fmt.Errorf("it has gone on until now: %w", ctx.Err())
		}
	}
}
