package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"pipesync/internal/bench/load"
)

const (
	// Beyond so many records a steady load writes those anew that are there, so that the
	// disk isn't what ends it.
	steadyRecords = 4_000_000
	// largestBytes of each of 5000 records make a body, and an entry, of nearly 16 MiB.
	largestBytes   = 3200
	largestRecords = 4 * batchOperations
	// The time is looked at after so many requests.
	steadyRequests = 64
)

// steady has 8 clients send batches for so many minutes, and then as many the largest
// requests that are taken, and watches the terms and the memory. 0 minutes: nothing. Where
// there were elections, progress has what the nodes' logs say of that time.
func (p *pipesync) steady(ctx context.Context, minutes int, progress io.Writer) ([]fact, error) {
	if minutes == 0 {
		return nil, nil
	}
	t, err := newTenant(ctx, p.cluster, "org_steady")
	if err != nil {
		return nil, err
	}
	usual := &steadyLoad{p, newPlace(1, t), batch(load.Fresh, 8, steadyRequests, load.Spread), steadyRecords, progress}
	elections, first, second, err := usual.run(ctx, minutes)
	if err != nil {
		return nil, err
	}
	mapped, err := p.most(memoryMapped)
	if err != nil {
		return nil, err
	}
	facts := []fact{
		atMost(0, fmt.Sprintf("elections in %d minutes of 8 clients", minutes), elections, ""),
		atMost(400, "memory of a node meanwhile, the most", max(first, second), "MiB"),
		{Name: "of that at the end, pages of mapped files", Value: mapped, Unit: "MiB"},
		atMost(1.1, "memory in the second half", second/first, "× the first"),
	}
	j := batch(load.Fresh, 2, steadyRequests, load.Spread)
	j.Bytes = largestBytes
	large := &steadyLoad{p, newPlace(1, t), j, largestRecords, progress}
	elections, _, _, err = large.run(ctx, minutes)
	return append(facts, atMost(0, fmt.Sprintf("elections in %d minutes of entries of 16 MiB", minutes), elections, "")), err
}

// steadyLoad is requests without end, which the clients make themselves: nobody's time is
// taken.
type steadyLoad struct {
	*pipesync
	where  *place
	job    load.Job // of fresh records
	enough int      // records, beyond which they are updated

	progress io.Writer
}

// run returns how many elections there were, and how many MiB a node had in memory at
// most in either half of the time.
func (l *steadyLoad) run(ctx context.Context, minutes int) (elections, first, second float64, err error) {
	began := time.Now()
	before, err := l.cluster.Client("").Status(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	half := time.Duration(minutes) * time.Minute / 2
	if first, err = l.peak(ctx, half); err != nil {
		return 0, 0, 0, err
	}
	if second, err = l.peak(ctx, half); err != nil {
		return 0, 0, 0, err
	}
	after, err := l.cluster.Client("").Status(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	if after.Term != before.Term {
		err = l.tellElections(began)
	}
	return float64(after.Term - before.Term), first, second, err
}

// tellElections tells what each node has said since about Raft, and what alarmed it.
func (l *steadyLoad) tellElections(since time.Time) error {
	for _, n := range l.cluster.Nodes {
		text, err := os.ReadFile(n.Log)
		if err != nil {
			return fmt.Errorf("reading a node's log: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if ofElections(line, since) {
				fmt.Fprintf(l.progress, "%s: %s", n.ID, line)
			}
		}
	}
	return nil
}

// ofElections says whether a line of a node's log is one that tellElections tells.
func ofElections(line string, since time.Time) bool {
	at, said, found := strings.Cut(strings.TrimPrefix(line, "time="), " ")
	when, err := time.Parse(time.RFC3339Nano, at)
	return found && err == nil && !when.Before(since) &&
		(strings.Contains(said, "component=raft") || strings.HasPrefix(said, "level=WARN") || strings.HasPrefix(said, "level=ERROR"))
}

func (l *steadyLoad) peak(ctx context.Context, span time.Duration) (most float64, err error) {
	for _, n := range l.cluster.Nodes {
		if err := resetPeak(n.Process().Pid()); err != nil {
			return 0, err
		}
	}
	for began := time.Now(); time.Since(began) < span; {
		if _, err := load.Run(ctx, l.job, l.sendNext); err != nil {
			return 0, err
		}
	}
	return l.most(memoryPeak)
}

// most is that of the node with the most.
func (p *pipesync) most(memory string) (most float64, err error) {
	for _, n := range p.cluster.Nodes {
		mib, err := memoryMiB(n.Process().Pid(), memory)
		if err != nil {
			return 0, err
		}
		most = max(most, mib)
	}
	return most, nil
}

func (l *steadyLoad) sendNext(ctx context.Context, client, _ int) error {
	j := l.job
	j.Requests = 1
	if l.where.len() >= l.enough {
		j.Kind = load.Update
	}
	requests, err := l.where.prepare(j)
	if err != nil {
		return err
	}
	_, err = l.do(ctx, requests[0], l.cluster.Nodes[client%len(l.cluster.Nodes)])
	return err
}
