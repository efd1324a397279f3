package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"pipesync/cluster"
	"pipesync/fsm"
)

// startMetrics makes the registry of this node: what the process itself tells, and
// what only the wiring sees. The packages below add what is theirs.
func (n *node) startMetrics() error {
	n.registry = prometheus.NewRegistry()
	info := buildVersion()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pipesync_build_info", Help: "1, with the program's version, commit and Go version as labels.",
		ConstLabels: prometheus.Labels{"version": info.Version, "commit": info.Commit, "go": info.Go},
	})
	build.Set(1)
	n.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.decisions = newDecisions(n.registry)
	return nil
}

// decisions count what became of proposals: in the log, and before it.
type decisions struct {
	entries    *prometheus.CounterVec
	admissions *prometheus.CounterVec
	admitted   prometheus.Counter
	failed     prometheus.Counter
}

func newDecisions(registry *prometheus.Registry) *decisions {
	d := &decisions{
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pipesync_entries_total", Help: "Entries of the log that this process has applied, by their kind and what became of them.",
		}, []string{"kind", "outcome"}),
		admissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pipesync_admissions_total", Help: "Proposals that this node has decided about as leader: admitted to the log, failed, or answered without an entry, by the answer's outcome.",
		}, []string{"outcome"}),
	}
	registry.MustRegister(d.entries, d.admissions)
	d.admitted, d.failed = d.admissions.WithLabelValues("admitted"), d.admissions.WithLabelValues("failed")
	d.admissions.WithLabelValues(fsm.RateLimited.Name())
	d.entries.WithLabelValues(fsm.KindSync.Name(), fsm.OK.Name())
	d.entries.WithLabelValues(fsm.KindSync.Name(), fsm.RateLimited.Name())
	return d
}

// decided counts an entry.
func (d *decisions) decided(k fsm.Kind, o fsm.Outcome) {
	d.entries.WithLabelValues(k.Name(), o.Name()).Inc()
}

// countedGate counts what the gate decides.
type countedGate struct {
	cluster.Gate
	decisions *decisions
}

// Admit implements cluster.Gate.
func (g countedGate) Admit(ctx context.Context, term uint64, body []byte) ([]byte, func([]byte), error) {
	reply, release, err := g.Gate.Admit(ctx, term, body)
	switch {
	case err != nil:
		g.decisions.failed.Inc()
	case reply == nil:
		g.decisions.admitted.Inc()
	default:
		if o, err := fsm.DecodeOutcome(reply); err == nil {
			g.decisions.admissions.WithLabelValues(o.Name()).Inc()
		}
	}
	return reply, release, err
}
