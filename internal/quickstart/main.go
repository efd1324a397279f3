// Command quickstart shows Pipesync to somebody who has just cloned it: it
// builds the server, starts a cluster of three on this machine, loads real
// records through different nodes and reads them back from another.
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
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil && interrupted:
		fmt.Fprintln(os.Stderr, "quickstart: interrupted")
		os.Exit(exitInterrupted)
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

const exitInterrupted = 130 // as shells report SIGINT

type options struct {
	exit      bool
	processes bool
	binary    string
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.BoolVar(&o.exit, "exit", false, "stop after the demonstration instead of staying up until Ctrl-C")
	flags.BoolVar(&o.processes, "processes", false, "run three 'pipesync serve' processes and kill -9 the leader, instead of 'pipesync dev'")
	flags.StringVar(&o.binary, "binary", "", "a pipesync to use instead of building one")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q, see --help", flags.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	if o.binary == "" {
		if o.binary, err = build(ctx, out); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "pipesync-quickstart-")
	if err != nil {
		return fmt.Errorf("making a directory for the cluster: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	start := startDev
	if o.processes {
		start = startProcesses
	}
	c, err := start(ctx, o.binary, dir, out)
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopDeadline)
		defer cancel()
		err = errors.Join(err, c.stop(stopping))
	}()
	if err := demonstrate(ctx, c, out); err != nil {
		return err
	}
	if o.exit {
		return nil
	}
	fmt.Fprintln(out, "\nThe cluster stays up until Ctrl-C; its data is gone then.")
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "stopping")
		return nil
	case <-c.failed:
		return errors.New("the cluster ended by itself")
	}
}

const stopDeadline = 20 * time.Second

func demonstrate(ctx context.Context, c *cluster, out io.Writer) error {
	records, source, err := findRecords(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nLoading %d records from %s\n", len(records), source)
	if err := load(ctx, c, records, out); err != nil {
		return err
	}
	if err := showCounts(ctx, c, records, out); err != nil {
		return err
	}
	if c.kill != nil {
		if err := showKill(ctx, c, records, out); err != nil {
			return err
		}
	}
	showUse(c, records[0], out)
	return nil
}
