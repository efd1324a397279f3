package main

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"
)

func TestAProcessRestsWhenItUsesNoCore(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		rests  bool
	}{
		"asleep": {"exec sleep 600", true},
		"busy":   {"while :; do :; done", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "sh", "-c", c.script)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
			ctx, cancel := context.WithTimeout(t.Context(), 3*quietFor)
			defer cancel()
			err := resting(ctx, cmd.Process.Pid)
			if c.rests && err != nil || !c.rests && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	if err := resting(t.Context(), 0); err == nil {
		t.Error("a process that isn't there rests")
	}
}

func TestStillWaitsForTheLastCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		since, err := still(t.Context(), 1, func() (float64, error) {
			switch took := time.Since(began); {
			case took < 5*time.Second:
				return 0, nil // too little
			case took < 7*time.Second:
				return took.Seconds(), nil
			}
			return 9, nil
		})
		if took := since.Sub(began); err != nil || took < 7*time.Second || took > 7*time.Second+pollEvery {
			t.Errorf("still since %v: %v", took, err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("known after %v", took)
		}
		if _, err := still(t.Context(), 1, func() (float64, error) { return 0, nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("what never begins: %v", err)
		}
	})
}
