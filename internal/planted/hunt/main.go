// Command hunt plants each bug of internal/planted and runs the suite that has to
// catch it. It fails where a suite doesn't, and where one fails without a bug.
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
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("planted", flag.ContinueOnError)
	flags.SetOutput(out)
	sample := flags.Int("sample", 0, "plant only so many bugs, others each day; 0: all")
	day := flags.String("day", "", "the day of the sample, as 20061231; today in UTC if empty")
	only := flags.String("bug", "", "plant this one alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	traps, err := choose(*only, *sample, *day)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pipesync-planted-")
	if err != nil {
		return fmt.Errorf("making a directory for test programs: %w", err)
	}
	h := &hunter{dir: dir, out: out, programs: map[string]string{}, sound: map[suite]bool{}}
	return errors.Join(h.hunt(ctx, traps), os.RemoveAll(dir))
}

// choose picks the traps to try. Samples of following days follow each other, so
// that each bug comes round.
func choose(only string, sample int, day string) ([]trap, error) {
	if only != "" {
		for _, t := range traps {
			if string(t.bug) == only {
				return []trap{t}, nil
			}
		}
		return nil, fmt.Errorf("there is no bug %q", only)
	}
	if sample <= 0 || sample >= len(traps) {
		return traps, nil
	}
	date := time.Now().UTC()
	if day != "" {
		var err error
		if date, err = time.Parse("20060102", day); err != nil {
			return nil, fmt.Errorf("reading the day %q, want one such as 20061231: %w", day, err)
		}
	}
	first := int(date.Unix()/86_400) * sample % len(traps)
	chosen := make([]trap, 0, sample)
	for i := range sample {
		chosen = append(chosen, traps[(first+i)%len(traps)])
	}
	return chosen, nil
}
