package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pipesync/internal/bench/load"
)

const (
	recordBytes     = 200
	batchOperations = 5000
	// A work of batches has so many requests. In the six repetitions of a whole run they
	// bring more fresh records than Pebble's first level takes before it is merged, with
	// Pipesync's settings, so that each work bears its share of merges.
	batchRequests = 30
	// Systems are filled by so many clients, so many requests at a time.
	loadClients, loadRequests = 2, 20
)

// work is what a job measures, and against what.
type work struct {
	name string
	job  load.Job
	peer []against
}

// against is what Pipesync is held against in a work: a system that gets the same
// requests, or what Pipesync itself does in another work.
type against struct {
	name  string
	to    string  // where a system gets the requests; empty: it is the name of a work
	least float64 // that the ratio is to be; 0: no target
	// latency has the ratio be the other's p50 by Pipesync's; else it is Pipesync's rate by
	// the other's. Either way more is better.
	latency bool
}

func batch(kind string, clients, requests int, to string) load.Job {
	return load.Job{Kind: kind, Clients: clients, Operations: batchOperations, Requests: requests, Bytes: recordBytes, To: to}
}

func single(kind string, clients, requests int, to string) load.Job {
	return load.Job{Kind: kind, Clients: clients, Operations: 1, Requests: requests, Bytes: recordBytes, To: to}
}

const (
	insertsToTheLeader = "inserts of 5000, 1 client to the leader"
	inserts            = "inserts of 5000, 1 client"
)

// A group has all its repetitions before the next one begins, so that what is done to the
// records that are there comes before there are more. Batches go to followers where nothing
// else is said, which is the harder half.
var groups = [][]work{{
	{"updates of 5000, 1 client", batch(load.Update, 1, batchRequests, load.Followers), []against{
		{name: ceilingName, to: load.Leader, least: 0.4}, {name: etcdName, to: load.Leader, least: 1.5},
	}},
	{"re-push of 5000, 1 client", batch(load.Repush, 1, batchRequests, load.Followers), []against{{name: inserts, least: 1.2}}},
}, {
	{insertsToTheLeader, batch(load.Fresh, 1, batchRequests, load.Leader), nil},
	{inserts, batch(load.Fresh, 1, batchRequests, load.Followers), []against{
		{name: ceilingName, to: load.Leader, least: 0.6}, {name: etcdName, to: load.Leader, least: 2},
		{name: insertsToTheLeader, least: 1 / 1.1, latency: true},
	}},
	{"inserts of 5000, 8 clients", batch(load.Fresh, 8, batchRequests, load.Spread), []against{
		{name: ceilingName, to: load.Leader, least: 0.6}, {name: etcdName, to: load.Leader, least: 4},
	}},
}, {
	{"1 operation, 1 client", single(load.Fresh, 1, 1000, load.Leader), []against{
		{name: ceilingName, to: load.Leader, least: 1 / 1.5, latency: true}, {name: etcdName, to: load.Leader},
	}},
	{"1 operation, 64 clients to the leader", single(load.Fresh, 64, 8000, load.Leader), []against{
		{name: ceilingName, to: load.Leader, least: 0.55}, {name: etcdName, to: load.Leader, least: 1.2},
	}},
	{"1 operation, 64 clients to all", single(load.Fresh, 64, 8000, load.Spread), []against{
		{name: ceilingName, to: load.Leader, least: 0.4}, {name: etcdName, to: load.Spread, least: 1},
	}},
	{"reads, 64 clients on followers", single(load.Read, 64, 8000, load.Followers), []against{
		{name: etcdName, to: load.Followers, least: 1.5},
	}},
}}

// works are those of all groups.
var works = slices.Concat(groups...)

// result is what one system has shown of one work, a repetition each.
type result struct {
	work        work
	system      string
	repetitions []load.Figures
}

// bench is one run.
type bench struct {
	*lab
	ours     *pipesync
	systems  []system // ours among them
	profiler *profiler
	facts    []fact
}

// newBench starts Pipesync, and its peers unless it is to be alone.
func newBench(ctx context.Context, l *lab) (*bench, error) {
	b := &bench{lab: l}
	var err error
	if b.profiler, err = newProfiler(l.profiles); err != nil {
		return nil, err
	}
	if b.ours, err = l.pipesync(ctx, b.profiler.environment); err != nil {
		return nil, err
	}
	b.systems = []system{{pipesyncName, b.ours.Run, b.ours.settle}}
	if l.alone {
		return b, nil
	}
	for _, name := range []string{ceilingName, etcdName} {
		peer, err := l.peer(ctx, name)
		if err != nil {
			return nil, err
		}
		b.systems = append(b.systems, peer)
	}
	return b, nil
}

// measure fills all systems, and has each do each work of a group, in turn, and then all of
// it again, so that whatever else the machine does meets them all alike. Then comes what
// Pipesync alone is measured at.
func (b *bench) measure(ctx context.Context) ([]*result, error) {
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	var all []*result
	for _, group := range groups {
		for repetition := range b.repetitions {
			for _, w := range inTurn(group, repetition) {
				if !strings.HasPrefix(w.name, b.only) {
					continue
				}
				var err error
				if all, err = b.inEach(ctx, w, repetition, all); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := b.profiler.merge(ctx); err != nil || b.only != "" {
		return all, err
	}
	return all, b.measureFacts(ctx)
}

// inEach has the systems that take a work do it, one after the other, and adds what they
// have shown to all.
func (b *bench) inEach(ctx context.Context, w work, repetition int, all []*result) ([]*result, error) {
	for _, s := range b.systems {
		j, takes := w.jobFor(s.name)
		if !takes {
			continue
		}
		figures, err := b.do(ctx, w, s, j, repetition)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", s.name, w.name, err)
		}
		all = add(all, w, s.name, figures)
	}
	return all, nil
}

// inTurn are a group's works in the order of a repetition. What a work leaves to be done
// behind it, merges of Pebble's first level above all, meets the one that comes next, which
// isn't to be the same each time, nor to have the same place: every other repetition has the
// works the other way round, and every second one begins with another. Six have three works
// in each order that there is.
func inTurn(group []work, repetition int) []work {
	first := repetition / 2 % len(group)
	ordered := slices.Concat(group[first:], group[:first])
	if repetition%2 == 1 {
		slices.Reverse(ordered)
	}
	return ordered
}

// do has a system do a work, and waits until it rests.
func (b *bench) do(ctx context.Context, w work, s system, j load.Job, repetition int) (load.Figures, error) {
	done := func(load.Figures) error { return nil }
	if s.name == pipesyncName && repetition == 0 {
		done = b.profiler.during(ctx, w.name, b.ours.leader)
	}
	figures, err := s.run(ctx, j)
	if err := errors.Join(err, done(figures)); err != nil {
		return figures, err
	}
	fmt.Fprintf(b.progress, "%s: %s, repetition %d: %.2f s\n", w.name, s.name, repetition+1, figures.Seconds)
	if j.Operations == 1 {
		return figures, nil
	}
	return figures, s.rest(ctx)
}

// add adds a repetition to what a system has shown of a work.
func add(all []*result, w work, system string, figures load.Figures) []*result {
	i := slices.IndexFunc(all, func(r *result) bool { return r.work.name == w.name && r.system == system })
	if i < 0 {
		i = len(all)
		all = append(all, &result{work: w, system: system})
	}
	all[i].repetitions = append(all[i].repetitions, figures)
	return all
}

// fill has Pipesync's nodes start again with a tenth of the records and with all.
func (b *bench) fill(ctx context.Context) error {
	var tenth float64
	for _, part := range []int{b.existing / 10, b.existing - b.existing/10} {
		for _, s := range b.systems {
			fmt.Fprintf(b.progress, "loading %d records into %s\n", part, s.name)
			if err := s.fill(ctx, part, recordBytes); err != nil {
				return err
			}
		}
		if b.only != "" {
			continue
		}
		seconds, err := b.ours.restartSeconds(ctx)
		if err != nil {
			return fmt.Errorf("restarting: %w", err)
		}
		if tenth == 0 {
			tenth = seconds
			continue
		}
		b.facts = append(b.facts, atMost(3, fmt.Sprintf("restart with %d records, ready", b.existing), seconds, "s"),
			atMost(1.5, "the same, by that with a tenth of them", seconds/tenth, ""))
	}
	return nil
}

// fill makes fresh records, each of so many bytes, and waits until the system rests.
func (s system) fill(ctx context.Context, records, bytes int) error {
	for left := records / batchOperations; left > 0; left -= loadRequests {
		j := batch(load.Fresh, loadClients, min(left, loadRequests), load.Leader)
		j.Bytes = bytes
		if _, err := s.run(ctx, j); err != nil {
			return fmt.Errorf("%s: loading: %w", s.name, err)
		}
	}
	return s.rest(ctx)
}

// jobFor is the job as a system gets it.
func (w work) jobFor(system string) (j load.Job, takes bool) {
	j = w.job
	if system == pipesyncName {
		return j, true
	}
	for _, a := range w.peer {
		if a.name == system {
			j.To = a.to
			return j, true
		}
	}
	return j, false
}
