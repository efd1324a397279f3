package netns

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// Child is what a lab needs in the namespace of a host, in a process of its own: it
// does what arg says, and tells out of it.
func Child(arg string, out io.Writer) error {
	verb, rest, _ := strings.Cut(arg, " ")
	do, ok := map[string]func(string, io.Writer) error{"say": say, "hear": hear, "relay": relay}[verb]
	if !ok {
		return fmt.Errorf("a child of a lab: %q is no task", verb)
	}
	if err := do(rest, out); err != nil {
		return fmt.Errorf("%s: %w", arg, err)
	}
	return nil
}

// child is the command self with one more argument, run on a host, or in the hub.
func (l *Lab) child(ctx context.Context, host int, self []string, arg string) *exec.Cmd {
	args := append(slices.Clone(self), arg)
	if host != Hub {
		args = append(In(l.Hosts[host].Namespace), args...)
	}
	return exec.CommandContext(ctx, args[0], args[1:]...)
}
