package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"pipesync/internal/bench/plot"
)

// readStacks has Go's own tool read a CPU profile.
func readStacks(ctx context.Context, path string) ([]plot.Stack, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "pprof", "-symbolize=none", "-traces", "-sample_index=samples", path)
	var problems strings.Builder
	cmd.Stderr = &problems
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w\n%s", path, err, problems.String())
	}
	stacks, err := parseTraces(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return stacks, nil
}

// withoutStackParts: of a profile one sample in so many may have no stack, which pprof
// counts and doesn't show: a signal that came at a moment when there was none to be read.
const withoutStackParts = 50

// pprof's traces begin with the sum of the samples. A line is before and after each; in it
// are labels, then the samples with the function that ran, then what called it.
var (
	traceTotal  = regexp.MustCompile(`Total samples = (\d+)`)
	traceBorder = regexp.MustCompile(`(?m)^-+\+-+\n`)
	traceLine   = regexp.MustCompile(`^([ \d]{10})   (\S.*?)( \(inline\))?$`)
)

func parseTraces(text string) (all []plot.Stack, err error) {
	sum := 0
	for _, trace := range traceBorder.Split(text, -1)[1:] { // a header is before the first
		var s plot.Stack
		for line := range strings.Lines(trace) {
			parts := traceLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if parts == nil {
				continue // a label
			}
			if samples := strings.TrimSpace(parts[1]); samples != "" {
				if s.Samples, err = strconv.Atoi(samples); err != nil {
					return nil, fmt.Errorf("%q: %w", line, err)
				}
			}
			s.Functions = append(s.Functions, shortened(parts[2]))
		}
		if len(s.Functions) > 0 {
			all = append(all, s)
			sum += s.Samples
		}
	}
	total := 0
	if said := traceTotal.FindStringSubmatch(text); said != nil {
		total, _ = strconv.Atoi(said[1])
	}
	without := total - sum
	if total == 0 || without < 0 || without*withoutStackParts > total {
		return nil, fmt.Errorf("found %d samples in traces that say %d", sum, total)
	}
	if without > 0 {
		all = append(all, plot.Stack{Samples: without, Functions: []string{"(no stack)"}})
	}
	return all, nil
}

var (
	typeArguments = regexp.MustCompile(`\[.*\]`)
	majorVersion  = regexp.MustCompile(`/v\d+\.`)
	packagePath   = regexp.MustCompile(`^.*/`)
)

// shortened is a function's name with no more of its package than that is called by.
func shortened(name string) string {
	name = typeArguments.ReplaceAllLiteralString(name, "[…]")
	return packagePath.ReplaceAllString(majorVersion.ReplaceAllString(name, "."), "")
}
