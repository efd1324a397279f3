package testcluster

import (
	"context"
	"testing"
	"time"
)

// startDeadline covers the slowest start seen with the race detector on two
// busy cores, several times over.
const startDeadline = 90 * time.Second

// New starts a cluster for one test, which ends with it. The test fails if a
// node has crashed by itself; when it fails, the ends of the nodes' logs are part
// of its output.
func New(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), startDeadline)
	defer cancel()
	c, err := Start(ctx, cfg)
	if err != nil {
		t.Fatalf("starting a cluster of %d: %v", cfg.Nodes, err)
	}
	t.Cleanup(func() {
		if err := c.Alarms(); err != nil {
			t.Errorf("a node crashed or raced: %v", err)
		}
		if t.Failed() {
			for _, n := range c.Nodes {
				t.Log(n.Tail(60))
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("ending the cluster: %v", err)
		}
	})
	return c
}
