// Command bench measures syncs of 5000 operations over a million records, in a
// cluster of three processes on this machine.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"text/tabwriter"

	"pipesync/internal/testcluster"
)

type options struct {
	binary      string
	existing    int // records that the workloads find
	syncs       int // measured, a workload
	operations  int // a sync
	recordBytes int // of data, a record
	tls         bool
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

// report is the line of JSON that is printed last.
type report struct {
	GoVersion   string   `json:"go_version"`
	CPUs        int      `json:"cpus"`
	Nodes       int      `json:"nodes"`
	Existing    int      `json:"existing_records"`
	Operations  int      `json:"operations_per_sync"`
	RecordBytes int      `json:"record_bytes"`
	TLS         bool     `json:"tls"`
	Results     []result `json:"results"`
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o := options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&o.binary, "binary", "", "a pipesync to measure instead of building one")
	flags.IntVar(&o.existing, "existing", 1_000_000, "records that are there before the first sync that is measured")
	flags.IntVar(&o.syncs, "syncs", 60, "syncs a workload")
	flags.IntVar(&o.operations, "operations", 5000, "operations a sync")
	flags.IntVar(&o.recordBytes, "record-bytes", 200, "bytes of data a record")
	flags.BoolVar(&o.tls, "tls", false, "speak TLS to the nodes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.syncs < 1 || o.operations < 1 || o.existing < o.operations {
		return errors.New("--syncs and --operations must be at least 1, and --existing at least --operations")
	}
	dir, err := os.MkdirTemp("", "pipesync-bench-")
	if err != nil {
		return fmt.Errorf("making a directory for the cluster: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.binary == "" {
		fmt.Fprintln(progress, "building pipesync")
		if o.binary, err = testcluster.Build(ctx, dir, false); err != nil {
			return err
		}
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	c, err := testcluster.Start(ctx, testcluster.Config{Binary: o.binary, Dir: dir, Nodes: 3, TLS: o.tls})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	all, err := measure(ctx, c, o, progress)
	if err != nil {
		return err
	}
	return print(out, report{
		GoVersion: runtime.Version(), CPUs: runtime.NumCPU(), Nodes: len(c.Nodes), Existing: o.existing,
		Operations: o.operations, RecordBytes: o.recordBytes, TLS: o.tls, Results: all,
	})
}

func print(out io.Writer, r report) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "workload\tsyncs\tp50 ms\tp90 ms\tmax ms\trecords/s\tratio\tprocessor ms\t")
	for _, x := range r.Results {
		fmt.Fprintf(table, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.0f\t%.2f\t%.1f\t\n",
			x.Workload, x.Syncs, x.P50, x.P90, x.Max, x.RecordsPerSecond, x.Ratio, x.ProcessorPerSync)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return json.NewEncoder(out).Encode(r)
}
