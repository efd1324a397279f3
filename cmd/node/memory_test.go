package main

import (
	"errors"
	"math"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	anything := func() (uint64, error) { return 0, errors.New("no limit") }
	group := func(bytes uint64) func() (uint64, error) { return func() (uint64, error) { return bytes, nil } }
	for name, c := range map[string]struct {
		cache int64
		group func() (uint64, error)
		live  int64
		want  int64
	}{
		"little is needed":              {192 * mib, anything, 90 * mib, 208 * mib},
		"more is needed":                {192 * mib, anything, 300 * mib, 400 * mib},
		"a large cache":                 {1200 * mib, anything, 90 * mib, 628 * mib},
		"a group with room":             {192 * mib, group(4000 * mib), 300 * mib, 400 * mib},
		"a group without":               {192 * mib, group(400 * mib), 300 * mib, 232 * mib},
		"a group of less than it needs": {192 * mib, group(100 * mib), 90 * mib, 128 * mib},
		"a group without a limit":       {192 * mib, group(math.MaxUint64), 300 * mib, 400 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			if got := memoryBoundsOf(c.cache, c.group).limit(c.live); got != c.want {
				t.Errorf("%d MiB, want %d", got/mib, c.want/mib)
			}
		})
	}
}

// The limit follows what collections leave, up and down, and is as it was in the end.
func TestMemoryLimitFollowsWhatIsNeeded(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	const usual = 64 << 20
	k := &memoryKeeper{memoryBounds: memoryBounds{usual: usual, most: math.MaxInt64}}
	stop := k.start()
	needed := make([]byte, 2*usual)
	awaitMemoryLimit(t, func(limit int64) bool { return limit >= 2*usual })
	runtime.KeepAlive(needed)
	needed = nil
	awaitMemoryLimit(t, func(limit int64) bool { return limit < 2*usual })
	stop()
	runtime.GC()
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("it is %d in the end, and was %d", got, before)
	}
}

func awaitMemoryLimit(t *testing.T, is func(int64) bool) {
	t.Helper()
	for began := time.Now(); !is(debug.SetMemoryLimit(-1)); runtime.GC() {
		if time.Since(began) > maxTestWait {
			t.Fatalf("the limit is still %d", debug.SetMemoryLimit(-1))
		}
	}
}

// Who runs the program has the last word.
func TestMemoryIsLeftToWhoSaysHow(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	for _, c := range []struct {
		variable string
		keeps    bool
	}{{"GOGC", false}, {"GOMEMLIMIT", false}, {"GODEBUG", true}} {
		a := &app{process: process{getenv: func(name string) string { return map[string]string{c.variable: "200"}[name] }}}
		stop := a.keepMemory(1 << 40)
		if keeps := debug.SetMemoryLimit(-1) != before; keeps != c.keeps {
			t.Errorf("with %s a limit is set: %v", c.variable, keeps)
		}
		stop()
	}
}

func TestServeLimitsItsMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	s := serveNode(t, filepath.Join(t.TempDir(), "data"), mintGossipKey(), "--bootstrap")
	s.awaitReady()
	if during := debug.SetMemoryLimit(-1); during == before {
		t.Errorf("it is %d, as before", during)
	}
	s.terminate()
	if after := debug.SetMemoryLimit(-1); after != before {
		t.Errorf("it is %d in the end, and was %d", after, before)
	}
}
