// Command jepsen runs a cluster of real processes, each on a host of its own, has
// clients use it while it is broken in many ways, and checks that every promise was
// kept. It needs Linux and root. See README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"pipesync/internal/netns"
	"pipesync/test/jepsen/faultfs"
)

// options are those of one run.
type options struct {
	time   time.Duration
	seed   uint64
	nodes  int
	orgs   int
	out    string
	binary string
	only   string // kinds of faults; empty: all

	mixed  bool // members of two releases
	window time.Duration
	pace   float64

	planted  bool   // have the planted bugs be caught
	bug      string // this one alone; empty: sample says how many
	sample   int    // of the day; 0: all
	liveBug  string // of this run
	bugAlone bool   // one node has it

	recheck string // directory of a run whose history is checked again; nothing is run
	totals  string // directory of summaries to add up; nothing is run

	lab  string // JSON: this process runs in the hub of it
	dial string // connect to this address, and do nothing else

	faultfs         string // serve this directory, and do nothing else
	touch, touchHow string // likewise access this file
	part            string // be what a lab needs on a host, and do nothing else
}

// spareHosts have nodes that aren't members all the time, and no clients.
const spareHosts = 2

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "jepsen:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("jepsen", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.DurationVar(&o.time, "time", 2*time.Minute, "how long clients and faults go on")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what decides about operations and faults")
	flags.IntVar(&o.nodes, "nodes", 3, "members of the cluster, 3 to 7")
	flags.IntVar(&o.orgs, "organizations", 12, "each has three clients; one in four tries to exceed its limit")
	flags.StringVar(&o.out, "out", "", "directory for history and report (default: test/jepsen/store/SEED)")
	flags.StringVar(&o.binary, "binary", os.Getenv("PIPESYNC_BINARY"), "program to run; built if empty")
	flags.BoolVar(&o.mixed, "mixed", false, "begin with the previous release, which is built, and have members of both")
	flags.StringVar(&o.only, "fault", "", "kinds of faults, or how they begin, separated by commas, and no others")
	flags.DurationVar(&o.window, "window", time.Minute, "length of the rate window")
	flags.Float64Var(&o.pace, "pace", 1, "how long faults and the times between them are, by the usual ones")
	flags.BoolVar(&o.planted, "planted", false, "plant bugs, all or the one that is named behind the flags, and have each be caught")
	flags.IntVar(&o.sample, "sample", 0, "with --planted: only so many bugs, others each day; 0: all")
	flags.StringVar(&o.liveBug, "bug", "", "planted bug of the nodes, whose program must have been built with the tag planted")
	flags.BoolVar(&o.bugAlone, "bug-alone", false, "one node has the bug, and the others don't")
	flags.StringVar(&o.recheck, "recheck", "", "check the history of the run in this directory again, and do nothing else")
	flags.StringVar(&o.totals, "totals", "", "write a page about the runs whose summaries are in this directory, and do nothing else")
	flags.StringVar(&o.lab, "lab", "", "for jepsen itself")
	flags.StringVar(&o.dial, "dial", "", "for jepsen itself")
	flags.StringVar(&o.faultfs, "faultfs", "", "for jepsen itself")
	flags.StringVar(&o.touch, "touch", "", "for jepsen itself")
	flags.StringVar(&o.touchHow, "touch-how", "", "for jepsen itself")
	flags.StringVar(&o.part, "part", "", "for jepsen itself")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.planted && flags.NArg() == 1 {
		o.bug = flags.Arg(0)
	} else if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	switch {
	case o.dial != "":
		return dial(o.dial)
	case o.faultfs != "":
		return faultfs.Serve(o.faultfs, o.seed, os.Stdin, out)
	case o.touch != "":
		return touchHere(o.touch, o.touchHow, out)
	case o.part != "":
		return netns.Child(o.part, out)
	case o.recheck != "":
		return recheck(o.recheck, out)
	case o.totals != "":
		return writeTotals(o.totals)
	case o.planted:
		return huntPlanted(ctx, o, out)
	case o.nodes < 3 || o.nodes > netns.MaxHosts-spareHosts:
		return fmt.Errorf("--nodes is %d: it must be from 3 to %d", o.nodes, netns.MaxHosts-spareHosts)
	case o.orgs < 4:
		return fmt.Errorf("--organizations is %d: it must be 4 or more", o.orgs)
	case o.lab != "":
		return inHub(ctx, o, out)
	}
	return inLab(ctx, o, args, out)
}

// dialSeconds is how long a connection may take between hosts that reach each other.
const dialSeconds = 1

func dial(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, dialSeconds*time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// inLab makes the hosts, and runs this program again among them.
func inLab(ctx context.Context, o options, args []string, out io.Writer) error {
	if err := netns.Available(); err != nil {
		return fmt.Errorf("NOT RUN: %w", err)
	}
	lab, err := netns.Make(o.nodes+spareHosts, false)
	if err != nil {
		return err
	}
	text, err := json.Marshal(lab)
	if err != nil {
		return errors.Join(err, lab.Remove())
	}
	self, err := os.Executable()
	if err != nil {
		return errors.Join(err, lab.Remove())
	}
	all := append(netns.In(lab.Hub), self)
	all = append(append(all, args...), "--seed", fmt.Sprint(o.seed), "--lab", string(text))
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, lab.Remove())
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	err = cmd.Wait()
	stop()
	return errors.Join(err, lab.Remove())
}
