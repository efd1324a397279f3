package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"pipesync/internal/bench/load"
)

func TestProfilesOfEachKindAreFetched(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	defer node.Close()
	addr := strings.TrimPrefix(node.URL, "http://")
	p := &profiler{dir: t.TempDir(), addrs: []string{addr, addr, addr}}
	if err := p.during(t.Context(), "1 operation, 64 clients", nil)(load.Figures{}); err != nil {
		t.Fatal(err)
	}
	for kind, page := range profileKinds {
		for node := 1; node <= 3; node++ {
			if got := read(t, p.dir, fmt.Sprintf("1-operation-64-clients.node-%d.%s.pprof", node, kind)); got != "/debug/pprof/"+page {
				t.Errorf("%s of node %d is %q", kind, node, got)
			}
		}
	}
	if env := p.environment(1); len(env) != 1 || env[0] != "PIPESYNC_DEBUG_ADDR="+addr {
		t.Errorf("environment %v", env)
	}
	var none *profiler
	if err := none.during(t.Context(), "any", nil)(load.Figures{Requests: 1}); err != nil || none.environment(0) != nil {
		t.Errorf("profiles that nobody wants: %v", err)
	}
	if err := none.merge(t.Context()); err != nil {
		t.Errorf("profiles that nobody wants: %v", err)
	}
}

func TestRequestsOfAProfile(t *testing.T) {
	for _, c := range []struct {
		requests               int
		seconds, since, answer float64
	}{
		{30, 4, 4, 30},
		{30, 4, 4.5, 30},  // it ended before the profile did
		{30, 10, 10, 15},  // half of it was seen
		{30, 10, 12, 9},   // 3 seconds of 10
		{30, 10, 15.1, 0}, // it began afterwards
	} {
		f := load.Figures{Requests: c.requests, Seconds: c.seconds}
		if got := answered(f, time.Duration(c.since*float64(time.Second))); math.Abs(got-c.answer) > 1e-6 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// busy takes a processor's time.
//
//go:noinline
func busy() (sum int) {
	for i := range 200_000_000 {
		sum ^= i
	}
	return sum
}

func TestProfilesAreShown(t *testing.T) {
	if testing.Short() {
		t.Skip("go tool pprof is built for it")
	}
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Fatal(err)
	}
	sum := busy()
	pprof.StopCPUProfile()
	t.Log("a sum for nothing:", sum)
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(profile.Bytes())
	}))
	defer node.Close()
	addr := strings.TrimPrefix(node.URL, "http://")
	p := &profiler{dir: t.TempDir(), addrs: []string{addr, addr, addr}}
	finish := p.during(t.Context(), "a, b", func(context.Context) (int, error) { return 1, nil })
	if err := finish(load.Figures{Seconds: 1e-9, Requests: 10}); err != nil {
		t.Fatal(err)
	}
	if svg := read(t, p.dir, "a-b.svg"); !strings.Contains(svg, "<title>bench.busy: ") {
		t.Errorf("the function isn't in\n%s", svg)
	}
	table := read(t, p.dir, "a-b.md")
	var leader, followers float64
	last := table[strings.LastIndex(table, "| all |"):]
	if _, err := fmt.Sscanf(last, "| all | %f | %f |", &leader, &followers); err != nil || leader <= 0 || math.Abs(followers-2*leader) > 0.01 {
		t.Errorf("%v; the followers aren't two nodes like the leader in\n%s", err, table)
	}
	if err := p.merge(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkPGO(t, filepath.Join(p.dir, pgoName), "pipesync/internal/bench.busy")
	if err := os.WriteFile(filepath.Join(p.dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readStacks(t.Context(), filepath.Join(p.dir, "broken")); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("of a profile that is none: %v", err)
	}
}
