package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

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

// during takes profiles of the three nodes from now on, into files named after the work.
// The function that it returns waits until they are there.
func (p *profiler) during(ctx context.Context, work string) (wait func() error) {
	if p == nil {
		return func() error { return nil }
	}
	name := strings.NewReplacer(" ", "-", ",", "").Replace(work)
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for i, addr := range p.addrs[:3] {
		for kind, page := range profileKinds {
			all.Go(func() {
				err := fetchProfile(ctx, addr, page, filepath.Join(p.dir, fmt.Sprintf("%s.node-%d.%s.pprof", name, i+1, kind)))
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
			})
		}
	}
	return func() error {
		all.Wait()
		return failed
	}
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
