// Command bench gives Pipesync, etcd and a bare ceiling the same work on this machine, one
// after the other and in turn, and says how far apart they are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

type options struct {
	binary      string
	existing    int // records that the works find
	repetitions int
	failovers   int
	minutes     int // of each steady load
	only        string
	curves      bool
	alone       bool
	tls         bool
	save, check bool
	profiles    string // directory; empty: none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parse makes options of the command line.
func parse(args []string, progress io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&o.binary, "binary", "", "a pipesync to measure instead of building one")
	flags.IntVar(&o.existing, "existing", 1_000_000, "records that are there before the first request that is measured")
	flags.IntVar(&o.repetitions, "repetitions", 6, "of each work, the systems in turn, and the works in another order each time")
	flags.IntVar(&o.minutes, "minutes", 10, "of 8 clients, and of entries of 16 MiB, for the memory and the elections")
	flags.StringVar(&o.only, "work", "", "the works, or curves, whose names begin so, and nothing else")
	flags.BoolVar(&o.curves, "curves", false, "measure Pipesync's cost as work grows: 15 minutes")
	quick := flags.Bool("quick", false, "a tenth of the records, one repetition, no steady load: 3 minutes")
	flags.StringVar(&o.profiles, "profiles", "", "write profiles of the nodes at each work to this directory")
	flags.BoolVar(&o.save, "save", false, "write docs/benchmarks.*, or docs/growth/*")
	flags.BoolVar(&o.check, "check", false, "fail where a ratio is a quarter below that in docs/benchmarks.json")
	flags.BoolVar(&o.alone, "alone", false, "measure Pipesync alone, without its peers")
	flags.BoolVar(&o.tls, "tls", false, "speak TLS to Pipesync's nodes")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.failovers = 20
	if *quick {
		o.existing, o.repetitions, o.minutes, o.failovers = o.existing/10, 1, 0, 5
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	case o.repetitions < 1 || o.minutes < 0 || o.existing < 20*batchOperations:
		return o, fmt.Errorf("--repetitions must be at least 1, --minutes 0, and --existing %d", 20*batchOperations)
	case o.curves && (*quick || o.check || o.profiles != ""):
		return o, errors.New("--curves has no use for --quick, --check and --profiles")
	case o.save && !o.curves && (o.only != "" || o.alone):
		return o, errors.New("--save stores a whole run: leave out --work and --alone")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	var stored *report
	if o.check { // what can't be checked need not be measured
		if stored, err = readStored(ctx); err != nil {
			return err
		}
		if err := stored.comparable(o); err != nil {
			return err
		}
	}
	l, err := newLab(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if o.curves {
		return measureCurves(ctx, l, out)
	}
	r, err := compareAll(ctx, l)
	if err != nil {
		return err
	}
	if err := r.print(out); err != nil {
		return err
	}
	if o.check {
		if err := r.against(stored); err != nil {
			return err
		}
	}
	if o.save {
		return r.save(ctx)
	}
	return nil
}

func compareAll(ctx context.Context, l *lab) (*report, error) {
	b, err := newBench(ctx, l)
	if err != nil {
		return nil, err
	}
	results, err := b.measure(ctx)
	if err != nil {
		return nil, err
	}
	return newReport(l.options, lookAround(ctx), results, b.facts), nil
}
