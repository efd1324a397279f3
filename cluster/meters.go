package cluster

import (
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters count what this node does as it does it. They are there from Open on,
// registered or not, and all of their series with them.
type meters struct {
	proposals    map[outcome]prometheus.Counter
	proposing    prometheus.Histogram
	attempts     map[path]prometheus.Counter
	reading      prometheus.Histogram
	readsFailed  prometheus.Counter
	applying     prometheus.Histogram
	fenced       prometheus.Counter
	snapshots    map[bool]prometheus.Counter // by success
	snapshotting prometheus.Histogram
	restores     prometheus.Counter
	queues       map[queueName]*queueMeters

	collectors []prometheus.Collector
}

// path is the way that an attempt of a proposal takes.
type path string

const (
	pathLocal     path = "local"     // this node leads
	pathForwarded path = "forwarded" // over one hop
)

var (
	requestBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	applyBuckets    = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	snapshotBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}
)

func newMeters() *meters {
	m := &meters{}
	proposals := m.counters("pipesync_proposals_total",
		"Proposals that this node has brought to the leader, by outcome.", "outcome")
	m.proposals = map[outcome]prometheus.Counter{}
	for _, o := range []outcome{outcomeDecided, outcomeNotApplied, outcomeUnknown} {
		m.proposals[o] = proposals.WithLabelValues(strings.ReplaceAll(string(o), "-", "_"))
	}
	m.proposing = m.histogram("pipesync_proposal_duration_seconds",
		"Time from a proposal of this node to its outcome, its retries included.", requestBuckets)
	attempts := m.counters("pipesync_proposal_attempts_total",
		"Attempts to have a proposal of this node decided: local where it led, or forwarded to the leader.", "path")
	m.attempts = map[path]prometheus.Counter{}
	for _, p := range []path{pathLocal, pathForwarded} {
		m.attempts[p] = attempts.WithLabelValues(string(p))
	}
	m.reading = m.histogram("pipesync_read_index_duration_seconds",
		"Time that a linearizable read of this node waited for its read index.", requestBuckets)
	m.readsFailed = m.counter("pipesync_read_index_failures_total", "Reads of this node that got no read index in time.")
	m.applying = m.histogram("pipesync_apply_duration_seconds", "Time to apply one entry to the state.", applyBuckets)
	m.fenced = m.counter("pipesync_fenced_entries_total",
		"Entries that changed nothing because they were stamped in another term than they were appended in.")
	snapshots := m.counters("pipesync_snapshots_total", "Snapshots that this node has tried to take of its state, by result.", "result")
	m.snapshots = map[bool]prometheus.Counter{
		true: snapshots.WithLabelValues("taken"), false: snapshots.WithLabelValues("failed"),
	}
	m.snapshotting = m.histogram("pipesync_snapshot_duration_seconds", "Time to take one snapshot.", snapshotBuckets)
	m.restores = m.counter("pipesync_snapshot_restores_total", "Snapshots of another member, or of this node's last run, that have taken the place of the state.")
	m.addQueues()
	return m
}

func (m *meters) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.collectors = append(m.collectors, c)
	return c
}

func (m *meters) counters(name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	m.collectors = append(m.collectors, c)
	return c
}

func (m *meters) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.collectors = append(m.collectors, h)
	return h
}

func since(began time.Time) float64 { return time.Since(began).Seconds() }

// proposed counts a proposal whose outcome, by err, is there.
func (m *meters) proposed(began time.Time, err error) {
	m.proposing.Observe(since(began))
	o := outcomeDecided
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		o = outcomeUnknown
	case err != nil:
		o = outcomeNotApplied
	}
	m.proposals[o].Inc()
}

func (m *meters) read(began time.Time, err error) {
	m.reading.Observe(since(began))
	if err != nil {
		m.readsFailed.Inc()
	}
}

// applied counts an entry that the state machine has answered.
func (m *meters) applied(began time.Time, response any) {
	m.applying.Observe(since(began))
	if err, ok := response.(error); ok && isPassing(err) {
		m.fenced.Inc()
	}
}

func (m *meters) snapshot(began time.Time, err error) {
	m.snapshotting.Observe(since(began))
	m.snapshots[err == nil].Inc()
}
