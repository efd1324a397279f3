package cluster

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestSizes: status and metrics tell the same sizes.
func TestSizes(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := newMember(t, "solo", func(c *Config) { c.Registerer = registry })
	if s := m.Sizes(); s != (Sizes{}) {
		t.Errorf("in no cluster: %+v", s)
	}
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.mustPropose(strings.Repeat("x", 1000))
	before := m.Sizes()
	if before.LogFile == 0 || before.LogSinceSnapshot < 1000 || before.Snapshot != 0 || before.SnapshotIndex != 0 {
		t.Errorf("before a snapshot: %+v", before)
	}
	c, err := m.running()
	if err == nil {
		err = c.snapshot(m.ctx())
	}
	if err != nil {
		t.Fatal(err)
	}
	sizes := m.Sizes()
	if sizes.LogSinceSnapshot != 0 || sizes.Snapshot < 1000 || sizes.SnapshotIndex == 0 {
		t.Errorf("after a snapshot: %+v", sizes)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	for name, want := range map[string]float64{
		"pipesync_raft_log_file_bytes": float64(sizes.LogFile), "pipesync_snapshot_due_bytes": 0,
		"pipesync_snapshot_bytes": float64(sizes.Snapshot), "pipesync_snapshot_index": float64(sizes.SnapshotIndex),
		"pipesync_raft_applied_index": float64(c.raft.AppliedIndex()),
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
