package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pipesync/internal/bench/load"
	"pipesync/internal/bench/plot"
	"pipesync/internal/testcluster"
)

// profileSeconds of each work are profiled.
const profileSeconds = 5

// profileKinds are pages of net/http/pprof. That of allocations is the same as the heap's
// but for what it shows first.
var profileKinds = map[string]string{"cpu": "profile", "alloc": "allocs", "block": "block", "mutex": "mutex"}

// profiler has the nodes serve profiles, and fetches them. Nil: none are wanted.
type profiler struct {
	dir   string
	addrs []string // of the nodes
}

func newProfiler(dir string) (*profiler, error) {
	if dir == "" {
		return nil, nil
	}
	addrs, err := testcluster.FreePorts(4) // a node joins the three later
	return &profiler{dir, addrs}, errors.Join(err, os.MkdirAll(dir, 0o700))
}

func (p *profiler) environment(node int) []string {
	if p == nil {
		return nil
	}
	return []string{"PIPESYNC_DEBUG_ADDR=" + p.addrs[node]}
}

// file is one of a work.
func (p *profiler) file(work, end string) string {
	return filepath.Join(p.dir, strings.NewReplacer(" ", "-", ",", "").Replace(work)+end)
}

func (p *profiler) ofNode(work string, node int, kind string) string {
	return p.file(work, fmt.Sprintf(".node-%d.%s.pprof", node+1, kind))
}

// during takes profiles of the three nodes from now on, into files named after the work.
// The function that it returns is to be called when the work has ended. It waits until they
// are there and, unless the figures are those of a failure, says what they show; leader
// returns which node leads.
func (p *profiler) during(ctx context.Context, work string, leader func(context.Context) (int, error)) (finish func(load.Figures) error) {
	if p == nil {
		return func(load.Figures) error { return nil }
	}
	began := time.Now()
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for i, addr := range p.addrs[:3] {
		for kind, page := range profileKinds {
			all.Go(func() {
				err := fetchProfile(ctx, addr, page, p.ofNode(work, i, kind))
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
			})
		}
	}
	return func(f load.Figures) error {
		requests := answered(f, time.Since(began))
		all.Wait()
		if failed != nil || f.Requests == 0 {
			return failed
		}
		leading, err := leader(ctx)
		if err != nil {
			return err
		}
		return p.show(ctx, work, leading, requests)
	}
}

// answered is how many requests were answered while profiles were taken that began so long
// before the last answer: all, or those at the work's rate between the first request, for
// which there was something to prepare, and the end of the profiles.
func answered(f load.Figures, sinceBegin time.Duration) float64 {
	prepared := sinceBegin.Seconds() - f.Seconds
	return float64(f.Requests) * min(1, max(0, profileSeconds-prepared)/f.Seconds)
}

// show writes a flame graph of all nodes' CPU time, and where that of a request goes.
func (p *profiler) show(ctx context.Context, work string, leader int, requests float64) error {
	if requests <= 0 {
		return fmt.Errorf("profiling: no request of %q was answered in %d s", work, profileSeconds)
	}
	var leading, following []plot.Stack
	for node := range p.addrs[:3] {
		stacks, err := readStacks(ctx, p.ofNode(work, node, "cpu"))
		if err != nil {
			return err
		}
		if node == leader {
			leading = stacks
		} else {
			following = append(following, stacks...)
		}
	}
	graph := plot.Flame{Title: "CPU of the three nodes: " + work, Stacks: slices.Concat(leading, following)}
	return errors.Join(
		os.WriteFile(p.file(work, ".md"), []byte(layerTable(work, leading, following, requests)), 0o600),
		os.WriteFile(p.file(work, ".svg"), []byte(graph.SVG()), 0o600))
}

func fetchProfile(ctx context.Context, addr, page, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*profileSeconds*time.Second)
	defer cancel()
	url := fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", addr, page, profileSeconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profiling: %s: %s: %.300s", url, resp.Status, content)
	}
	return os.WriteFile(path, content, 0o600)
}
