// Command pipesync is the server, its embedded development cluster, and the
// tool that administers both.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Libraries make files of their own accord, as 0644: nobody else is to read
	// what this process writes.
	syscall.Umask(0o077)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(signalled{<-signals})
		<-signals // whoever asks twice wants no clean stop
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, os.Args[1:], process{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, exit: os.Exit,
		terminal: isTerminal(os.Stdout), hangups: hangups,
	}))
}

func hangups() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// process is what the operating system gives, and what tests replace.
type process struct {
	stdin  io.Reader
	stdout io.Writer // data
	stderr io.Writer // logs and progress
	// terminal: stdout is one, so that what is on it can be drawn anew.
	terminal bool
	getenv   func(string) string
	// hangups tells of each SIGHUP until stop is called, which would end the process
	// otherwise. Nil: there are none.
	hangups func() (c <-chan os.Signal, stop func())
	// exit ends the process at once, for faults after which nothing may go on.
	exit func(code int)
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, p process) int {
	root := newRootCommand(&app{process: p})
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	report(p.stderr, err)
	return exitCode(ctx, err)
}
