// Command placement simulates how organizations would be spread over many Raft groups,
// and prints the tables of docs/scaling.md, which tells the policy. It is a function of
// its parameters: it reads no clock, and its only random numbers come from the seed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

// params of a simulation. Loads are in syncs a second, all syncs being alike.
type params struct {
	seed          uint64
	nodes         int
	replicas      int // members of a group
	groups        int
	organizations int
	load          int // of all organizations, if none had a limit
	limitMinute   int // syncs that an organization may make in a minute

	groupMax int // what one group carries, whatever the node
	nodeMax  int // what one node's processors carry that does all of the work
	// Of that work: receiving, at any node; leading; applying, at each replica. The sum is 100.
	receivePercent, leadPercent, applyPercent int
	groupFsyncs                               int // a second that one log makes, one after the other
	diskFsyncs                                int // a second that a disk makes, of several logs together
	fsyncSyncs                                int // that one fsync of a log covers, at most: Raft's MaxAppendEntries

	thresholdPercent int // above the mean from which a group is relieved
	cooldown         int // minutes for which an organization stays where it was moved to
	patience         int // minutes until a lost node's replicas are built anew
}

func defaults() params {
	return params{
		seed: 1, nodes: 5, replicas: 3, groups: 16, organizations: 10_000, load: 6000, limitMinute: 100,
		groupMax: 1000, nodeMax: 2000, receivePercent: 40, leadPercent: 30, applyPercent: 30,
		groupFsyncs: 200, diskFsyncs: 1000, fsyncSyncs: 32, thresholdPercent: 20, cooldown: 60, patience: 10,
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "placement:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	p := defaults()
	flags := flag.NewFlagSet("placement", flag.ContinueOnError)
	flags.Uint64Var(&p.seed, "seed", p.seed, "of the random numbers")
	flags.IntVar(&p.nodes, "nodes", p.nodes, "of the cluster through whose days it goes")
	flags.IntVar(&p.groups, "groups", p.groups, "of that cluster")
	flags.IntVar(&p.organizations, "organizations", p.organizations, "to spread")
	flags.IntVar(&p.load, "load", p.load, "syncs/s of all organizations, if none had a limit")
	flags.IntVar(&p.groupMax, "group-max", p.groupMax, "syncs/s that one group carries")
	flags.IntVar(&p.nodeMax, "node-max", p.nodeMax, "syncs/s that a node's processors carry if it does all of the work")
	flags.IntVar(&p.leadPercent, "lead-percent", p.leadPercent, "of that work that is the leader's")
	flags.IntVar(&p.applyPercent, "apply-percent", p.applyPercent, "of that work that each replica does")
	flags.IntVar(&p.groupFsyncs, "group-fsyncs", p.groupFsyncs, "a second that one log makes")
	flags.IntVar(&p.diskFsyncs, "disk-fsyncs", p.diskFsyncs, "a second that one disk makes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p.receivePercent = 100 - p.leadPercent - p.applyPercent
	if err := p.validate(); err != nil {
		return err
	}
	for _, t := range tables(p) {
		fmt.Printf("%s:\n\n%s\n", t.name, t.text)
	}
	return nil
}

func (p params) validate() error {
	for _, f := range []struct {
		name       string
		value, min int
	}{
		{"nodes", p.nodes, p.replicas}, {"groups", p.groups, 2}, {"organizations", p.organizations, 1}, {"load", p.load, 1},
		{"group-max", p.groupMax, 1}, {"node-max", p.nodeMax, 1}, {"group-fsyncs", p.groupFsyncs, 1}, {"disk-fsyncs", p.diskFsyncs, 1},
		{"lead-percent", p.leadPercent, 0}, {"apply-percent", p.applyPercent, 0}, {"lead-percent and apply-percent leave for receiving", p.receivePercent, 0},
	} {
		if f.value < f.min {
			return fmt.Errorf("%s is %d: it must be at least %d", f.name, f.value, f.min)
		}
	}
	return nil
}
