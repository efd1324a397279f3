package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"pipesync/fsm"
)

func storageDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("pipesync_storage_"+name, help, nil, nil)
}

// storageMetrics are the families of the state's database. Its counters begin anew
// when a snapshot takes its place.
var storageMetrics = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(fsm.Metrics) float64
}{
	{storageDesc("disk_bytes", "Size of the state's files, those to be deleted included."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.DiskBytes) }},
	{storageDesc("unflushed_bytes", "Entries applied since the last flush: a crash has them applied again, from the log."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.UnflushedBytes) }},
	{storageDesc("memtable_bytes", "Memory of rows that are not in a table yet."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.MemtableBytes) }},
	{storageDesc("cache_bytes", "Memory of blocks that were read."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.CacheBytes) }},
	{storageDesc("cache_hits_total", "Blocks found in the cache."), prometheus.CounterValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.CacheHits) }},
	{storageDesc("cache_misses_total", "Blocks read from the disk."), prometheus.CounterValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.CacheMisses) }},
	{storageDesc("flushes_total", "Memtables written to tables."), prometheus.CounterValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.Flushes) }},
	{storageDesc("compactions_total", "Compactions done."), prometheus.CounterValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.Compactions) }},
	{storageDesc("compaction_debt_bytes", "What compactions have yet to rewrite."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.CompactionDebt) }},
	{storageDesc("read_sublevels", "Levels that a lookup may have to touch."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.ReadSublevels) }},
	{storageDesc("l0_tables", "Tables in the level that flushes write."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.L0Files) }},
	{storageDesc("tables", "Tables in all levels."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.Tables) }},
	{storageDesc("tombstones", "Deletions that compactions have yet to drop."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.TombstoneCount) }},
	{storageDesc("write_stalls_total", "Times that writes had to wait for flushes or compactions."), prometheus.CounterValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.WriteStalls) }},
	{storageDesc("slow_disk_total", "Operations of the disk that took suspiciously long."), prometheus.CounterValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.SlowDisk) }},
	{storageDesc("open_views", "Views of the state that are open; each holds back the reclaiming of space."), prometheus.GaugeValue,
		func(m fsm.Metrics) float64 { return float64(m.Storage.OpenSnapshots) }},
}

// stateMetrics asks the state when it is scraped. While a snapshot takes its place
// there are none.
type stateMetrics struct{ state *fsm.FSM }

// Describe implements prometheus.Collector.
func (stateMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, m := range storageMetrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (s stateMetrics) Collect(out chan<- prometheus.Metric) {
	figures, err := s.state.Metrics()
	if err != nil {
		return
	}
	for _, m := range storageMetrics {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(figures))
	}
}
