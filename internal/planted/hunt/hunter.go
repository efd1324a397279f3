package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pipesync/internal/planted"
)

// maxCatchSeconds is how long a suite has to catch a bug. One that passes with it is
// run again meanwhile: suites draw other histories each time, and the bugs that are
// races need the right moment.
const maxCatchSeconds = 60

// shownBytes of a suite's output are shown where it does what it shouldn't.
const shownBytes = 4 << 10

type hunter struct {
	dir      string
	out      io.Writer
	programs map[string]string // by package, built with the bugs
	sound    map[suite]bool    // those that pass without a bug
}

// hunt goes on after a bug that nothing catches: the others count too.
func (h *hunter) hunt(ctx context.Context, traps []trap) error {
	var missed []error
	for _, t := range traps {
		err := h.try(ctx, t)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			missed = append(missed, fmt.Errorf("%s: %w", t.bug, err))
		}
	}
	fmt.Fprintf(h.out, "planted: %d bugs, %d caught\n", len(traps), len(traps)-len(missed))
	return errors.Join(missed...)
}

func (h *hunter) try(ctx context.Context, t trap) error {
	if err := h.build(ctx, t.pkg); err != nil {
		return err
	}
	if !h.sound[t.suite] {
		if _, failed, err := h.run(ctx, t.suite, ""); err != nil || failed != "" {
			return errors.Join(err, fmt.Errorf("the suite %s of %s fails without a bug, so that it catches none:\n%s", t.tests, t.pkg, failed))
		}
		h.sound[t.suite] = true
	}
	var total time.Duration
	for runs := 1; ; runs++ {
		took, failed, err := h.run(ctx, t.suite, t.bug)
		total += took
		switch {
		case err != nil:
			return err
		case failed != "":
			fmt.Fprintf(h.out, "planted: %-20s caught by %s %s in %.1f s (run %d)\n", t.bug, t.pkg, t.tests, total.Seconds(), runs)
			return nil
		case total+took > maxCatchSeconds*time.Second:
			return fmt.Errorf("the suite %s of %s passes with it, %d times", t.tests, t.pkg, runs)
		}
	}
}

func (h *hunter) build(ctx context.Context, pkg string) error {
	if h.programs[pkg] != "" {
		return nil
	}
	program := filepath.Join(h.dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	cmd := exec.CommandContext(ctx, "go", "test", "-tags", "planted", "-c", "-o", program, "./"+pkg)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the tests of %s: %w\n%s", pkg, err, text)
	}
	h.programs[pkg] = program
	return nil
}

// run runs a suite with a bug, or without one, and returns the end of what it
// printed if it failed. An error says that it neither passed nor failed.
func (h *hunter) run(ctx context.Context, s suite, bug planted.Bug) (took time.Duration, failed string, err error) {
	limited, cancel := context.WithTimeout(ctx, maxCatchSeconds*time.Second)
	defer cancel()
	args := append([]string{"-test.run", s.tests, "-test.failfast", "-test.count=1"}, strings.Fields(s.flags)...)
	cmd := exec.CommandContext(limited, h.programs[s.pkg], args...)
	cmd.Dir = s.pkg // where go test runs it
	cmd.Env = append(os.Environ(), planted.Variable+"="+string(bug))
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	started := time.Now()
	err = cmd.Run()
	took = time.Since(started)
	tail := text.Bytes()[max(0, text.Len()-shownBytes):]
	var exit *exec.ExitError
	switch {
	case limited.Err() != nil:
		return took, "", fmt.Errorf("the suite %s of %s didn't end within %d s:\n%s", s.tests, s.pkg, maxCatchSeconds, tail)
	case err == nil && bytes.Contains(text.Bytes(), []byte("no tests to run")):
		return took, "", fmt.Errorf("package %s has no test %s", s.pkg, s.tests)
	case err == nil:
		return took, "", nil
	case errors.As(err, &exit):
		return took, string(tail), nil
	}
	return took, "", fmt.Errorf("running the tests of %s: %w", s.pkg, err)
}
