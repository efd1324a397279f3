package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"pipesync/internal/planted"
	"pipesync/internal/testcluster"
)

const (
	// maxCatchSeconds is how long runs may go on until the check has caught a bug.
	maxCatchSeconds = 600
	// plantedNodes and plantedOrganizations are of each of those runs.
	plantedNodes, plantedOrganizations = 3, 12
	// shownBytes of what a run has printed are shown where it does what it shouldn't.
	shownBytes = 4 << 10
)

// hunter plants bugs, and has short runs, each with a seed and a cluster of its own, until
// a check breaks.
type hunter struct {
	dir, binary string
	out         io.Writer
	seed        uint64 // of the next run
	sound       map[scenario]bool
}

// huntPlanted goes on after a bug that nothing catches: the others count too.
func huntPlanted(ctx context.Context, o options, out io.Writer) error {
	chosen, err := chooseTraps(o.bug, o.sample)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pipesync-planted-")
	if err != nil {
		return err
	}
	h := &hunter{dir: dir, out: out, seed: o.seed, sound: map[scenario]bool{}}
	if err := h.build(ctx); err != nil {
		return err
	}
	var missed []error
	for _, t := range chosen {
		err := h.try(ctx, t)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			missed = append(missed, fmt.Errorf("%s: %w", t.bug, err))
		}
	}
	if o.bug == "" && o.sample == 0 {
		for _, bug := range slices.Sorted(maps.Keys(unseen)) {
			fmt.Fprintf(out, "planted: %-20s NOT RUN: %s\n", bug, unseen[bug])
		}
	}
	fmt.Fprintf(out, "planted: %d traps, %d have caught their bug\n", len(chosen), len(chosen)-len(missed))
	return errors.Join(append(missed, os.RemoveAll(dir))...)
}

func (h *hunter) build(ctx context.Context) error {
	root, err := testcluster.ModuleRoot(ctx)
	if err != nil {
		return err
	}
	h.binary = filepath.Join(h.dir, "pipesync")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "planted", "-o", h.binary, "./cmd/node")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the program with the bugs: %w\n%s", err, text)
	}
	return nil
}

// try has runs until the bug is caught. First, one without a bug has to hold.
func (h *hunter) try(ctx context.Context, t trap) error {
	if !h.sound[t.scenario] {
		broken, text, err := h.run(ctx, trap{scenario: t.scenario})
		if err == nil && len(broken) > 0 {
			err = fmt.Errorf("broken: %v", broken)
		}
		if err != nil {
			return fmt.Errorf("without a bug the run fails: %w\n%s", err, text)
		}
		h.sound[t.scenario] = true
	}
	began := time.Now()
	for runs := 1; ; runs++ {
		broken, text, err := h.run(ctx, t)
		took := time.Since(began)
		switch {
		case slices.Contains(broken, t.check):
			fmt.Fprintf(h.out, "planted: %-20s caught by the check %q in %.0f s (run %d)\n", t.bug, t.check, took.Seconds(), runs)
			return nil
		case err != nil:
			return fmt.Errorf("the run fails: %w\n%s", err, text)
		case took > maxCatchSeconds*time.Second:
			return fmt.Errorf("the check %q held in %d runs", t.check, runs)
		}
	}
}

// run has one run with a bug, or without one, and returns the checks that broke and the
// end of what it has printed. An error says that it ended without checks.
func (h *hunter) run(ctx context.Context, t trap) (broken []string, text []byte, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	place := filepath.Join(h.dir, fmt.Sprint(h.seed))
	if err := os.Mkdir(place, 0o700); err != nil {
		return nil, nil, err
	}
	store := filepath.Join(place, "store")
	cmd := exec.CommandContext(ctx, self, "--binary", h.binary, "--out", store, "--seed", fmt.Sprint(h.seed),
		"--nodes", fmt.Sprint(plantedNodes), "--organizations", fmt.Sprint(plantedOrganizations),
		"--time", t.time.String(), "--fault", t.faults, "--pace", fmt.Sprint(cmp.Or(t.pace, 1)), "--window", cmp.Or(t.window, time.Minute).String(),
		"--bug", string(t.bug), "--bug-alone="+fmt.Sprint(t.alone))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has hosts to remove
	cmd.Env = append(os.Environ(), "TMPDIR="+place)
	h.seed++
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	failed := cmd.Run()
	text = all.Bytes()[max(0, all.Len()-shownBytes):]
	content, err := os.ReadFile(filepath.Join(store, summaryName))
	if err != nil {
		return nil, text, errors.Join(err, failed)
	}
	var sum summary
	if err := json.Unmarshal(content, &sum); err != nil {
		return nil, text, err
	}
	for _, c := range sum.Checks {
		if c.Anomalies > 0 {
			broken = append(broken, c.Name)
		}
	}
	if failed != nil && len(broken) == 0 {
		return nil, text, failed
	}
	return broken, text, os.RemoveAll(place)
}

// environment is that of a node's processes with the bug of the run.
func (o options) environment(node int) []string {
	if o.liveBug == "" || o.bugAlone && node != o.nodes-1 {
		return nil
	}
	return []string{planted.Variable + "=" + o.liveBug}
}
