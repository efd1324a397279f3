package cluster

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-metrics"
	sink "github.com/hashicorp/go-metrics/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"
)

// raftMetricsExpiry drops what has not been updated for so long, such as a
// removed peer's gauges.
const raftMetricsExpiry = 2 * time.Minute

// raftMetrics is where Raft and memberlist report. They know only one global
// sink, so that several nodes in one process share its numbers.
var raftMetrics = sync.OnceValues(func() (*sink.PrometheusSink, error) {
	s, err := sink.NewPrometheusSinkFrom(sink.PrometheusOpts{
		Name: "pipesync_raft_sink", Expiration: raftMetricsExpiry, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, fmt.Errorf("opening the metrics sink: %w", err)
	}
	conf := metrics.DefaultConfig("")
	conf.EnableHostname, conf.EnableRuntimeMetrics = false, false
	if _, err := metrics.NewGlobal(conf, s); err != nil {
		return nil, fmt.Errorf("opening the metrics sink: %w", err)
	}
	return s, nil
})

// coreCollectors tell of a running Raft.
func (n *Node) coreCollectors(c *core) []prometheus.Collector {
	var collectors []prometheus.Collector
	if bolt, ok := c.store.file.(*mappedFile); ok {
		collectors = append(collectors, boltCollector{bolt.Stats})
	}
	raftSink, err := raftMetrics()
	if err != nil {
		n.cfg.Logger.Warn("registering metrics", "error", err)
		return collectors
	}
	return append(collectors, raftSink)
}

// register is best effort: a node without metrics still serves.
func (n *Node) register(collectors []prometheus.Collector) (unregister func()) {
	reg := n.cfg.Registerer
	if reg == nil {
		return func() {}
	}
	for _, collector := range collectors {
		if err := reg.Register(collector); err != nil {
			n.cfg.Logger.Warn("registering metrics", "error", err)
		}
	}
	return func() {
		for _, collector := range collectors {
			reg.Unregister(collector)
		}
	}
}

// boltCollector reads the log store's own counters when it is scraped.
type boltCollector struct{ stats func() bbolt.Stats }

type boltMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(bbolt.Stats) float64
}

func boltDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("raft_boltdb_"+name, help, nil, nil)
}

var boltMetrics = []boltMetric{
	{boltDesc("free_pages", "Free pages on the free list."), prometheus.GaugeValue,
		func(s bbolt.Stats) float64 { return float64(s.FreePageN) }},
	{boltDesc("pending_pages", "Pages to be freed by open transactions."), prometheus.GaugeValue,
		func(s bbolt.Stats) float64 { return float64(s.PendingPageN) }},
	{boltDesc("free_bytes", "Bytes in free pages."), prometheus.GaugeValue,
		func(s bbolt.Stats) float64 { return float64(s.FreeAlloc) }},
	{boltDesc("freelist_bytes", "Bytes used by the free list."), prometheus.GaugeValue,
		func(s bbolt.Stats) float64 { return float64(s.FreelistInuse) }},
	{boltDesc("open_read_transactions", "Read transactions now open."), prometheus.GaugeValue,
		func(s bbolt.Stats) float64 { return float64(s.OpenTxN) }},
	{boltDesc("read_transactions_total", "Read transactions started."), prometheus.CounterValue,
		func(s bbolt.Stats) float64 { return float64(s.TxN) }},
	{boltDesc("page_allocated_bytes_total", "Bytes allocated for pages."), prometheus.CounterValue,
		func(s bbolt.Stats) float64 { return float64(s.TxStats.GetPageAlloc()) }},
	{boltDesc("writes_total", "Writes to the file."), prometheus.CounterValue,
		func(s bbolt.Stats) float64 { return float64(s.TxStats.GetWrite()) }},
	{boltDesc("write_seconds_total", "Time spent writing to the file."), prometheus.CounterValue,
		func(s bbolt.Stats) float64 { return s.TxStats.GetWriteTime().Seconds() }},
	{boltDesc("spill_seconds_total", "Time spent spilling nodes."), prometheus.CounterValue,
		func(s bbolt.Stats) float64 { return s.TxStats.GetSpillTime().Seconds() }},
	{boltDesc("rebalance_seconds_total", "Time spent rebalancing nodes."), prometheus.CounterValue,
		func(s bbolt.Stats) float64 { return s.TxStats.GetRebalanceTime().Seconds() }},
}

// Describe implements prometheus.Collector.
func (boltCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range boltMetrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c boltCollector) Collect(out chan<- prometheus.Metric) {
	s := c.stats()
	for _, m := range boltMetrics {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(s))
	}
}
