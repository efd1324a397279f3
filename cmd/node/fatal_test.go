package main

import (
	"errors"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
)

// stuckWriter is standard error on a disk that hangs.
type stuckWriter struct{ let chan struct{} }

func (w stuckWriter) Write(p []byte) (int, error) {
	<-w.let
	return len(p), nil
}

// Whether its reason can be written or not, the process ends.
func TestFatalEndsTheProcess(t *testing.T) {
	stuck := stuckWriter{make(chan struct{})}
	for name, stderr := range map[string]io.Writer{"written": io.Discard, "stuck": stuck} {
		synctest.Test(t, func(t *testing.T) {
			stuck.let = make(chan struct{})
			if name == "stuck" {
				stderr = stuck
			}
			code := make(chan int, 1)
			a := &app{process: process{exit: func(c int) { code <- c; runtime.Goexit() }}}
			go a.fatal(slog.New(slog.NewTextHandler(stderr, nil)))(errors.New("the disk hangs"))
			if got := <-code; got != exitRemote {
				t.Errorf("%s: code %d", name, got)
			}
			close(stuck.let)
		})
	}
}
