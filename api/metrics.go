package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pipesync/cluster"
	"pipesync/fsm"
)

// metrics are the edge's own families. Their labels are the route's pattern, the
// status and codes: never an organization, a key or an id.
type metrics struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	inFlight   prometheus.Gauge
	received   prometheus.Counter
	sent       prometheus.Counter
	errors     map[Code]prometheus.Counter
	outcomes   map[syncOutcome]prometheus.Counter
	operations prometheus.Counter
	records    map[string]prometheus.Counter // by change
	gather     http.Handler
}

// syncOutcome is what a sync came to, as its client was told.
type syncOutcome string

const (
	syncDone       syncOutcome = "done"
	syncReplayed   syncOutcome = "replayed"    // done before
	syncRefused    syncOutcome = "refused"     // by the cluster
	syncRejected   syncOutcome = "rejected"    // by this node, before it was proposed
	syncNotApplied syncOutcome = "not_applied" // certainly
	syncUnknown    syncOutcome = "unknown"
)

func newMetrics(registry *prometheus.Registry, held *heldBodies) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pipesync_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pipesync_http_request_duration_seconds", Help: "Time from a request's header to its reply, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pipesync_http_requests_in_flight", Help: "Requests that are being answered, this scrape among them.",
		}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pipesync_http_body_bytes_total", Help: "Bytes of request bodies, decompressed.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pipesync_http_reply_bytes_total", Help: "Bytes of replies, without their headers.",
		}),
		operations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pipesync_sync_operations_total", Help: "Operations of the syncs acknowledged by this node.",
		}),
		gather: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	errorsVec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pipesync_http_errors_total", Help: "Errors told to clients, by their code.",
	}, []string{"code"})
	m.errors = make(map[Code]prometheus.Counter, len(errorTable))
	for _, row := range errorTable {
		m.errors[row.code] = errorsVec.WithLabelValues(string(row.code))
	}
	outcomesVec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pipesync_sync_outcomes_total", Help: "Syncs answered by this node, dry runs apart, by what their client was told.",
	}, []string{"outcome"})
	m.outcomes = map[syncOutcome]prometheus.Counter{}
	for _, o := range []syncOutcome{syncDone, syncReplayed, syncRefused, syncRejected, syncNotApplied, syncUnknown} {
		m.outcomes[o] = outcomesVec.WithLabelValues(string(o))
	}
	recordsVec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pipesync_sync_records_total", Help: "Records that the syncs acknowledged by this node have named or removed, by what became of them.",
	}, []string{"change"})
	m.records = map[string]prometheus.Counter{}
	for _, change := range []string{"created", "updated", "unchanged", "removed"} {
		m.records[change] = recordsVec.WithLabelValues(change)
	}
	heldGauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pipesync_http_held_body_bytes", Help: "Bytes of request bodies in memory.",
	}, func() float64 { return float64(held.bytes()) })
	boundGauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pipesync_http_held_body_max_bytes", Help: "Bound of the bytes of request bodies in memory; what comes near it is refused.",
	}, func() float64 { return float64(held.bound) })
	for _, c := range []prometheus.Collector{
		m.requests, m.duration, m.inFlight, m.received, m.sent, errorsVec, outcomesVec, m.operations, recordsVec, heldGauge, boundGauge,
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the HTTP metrics: %w", err)
		}
	}
	return m, nil
}

// finished counts a call that is over.
func (m *metrics) finished(c *call, elapsed time.Duration) {
	m.inFlight.Dec()
	m.requests.WithLabelValues(c.route, strconv.Itoa(c.w.status)).Inc()
	m.duration.WithLabelValues(c.route).Observe(elapsed.Seconds())
	m.received.Add(float64(c.body.bytes))
	m.sent.Add(float64(c.w.bytes))
	if counter, ok := m.errors[c.code]; ok {
		counter.Inc()
	}
}

// synced counts what became of a sync with so many operations.
func (m *metrics) synced(result *fsm.Result, err error, operations int) {
	m.outcomes[outcomeOf(result, err)].Inc()
	if err != nil || result.Outcome != fsm.OK {
		return
	}
	m.operations.Add(float64(operations))
	d := result.Sync.Details
	m.records["created"].Add(float64(d.Created))
	m.records["updated"].Add(float64(d.Updated))
	m.records["unchanged"].Add(float64(d.Unchanged))
	m.records["removed"].Add(float64(d.Removed))
}

func outcomeOf(result *fsm.Result, err error) syncOutcome {
	switch {
	case errors.Is(err, cluster.ErrOutcomeUnknown):
		return syncUnknown
	case errors.Is(err, cluster.ErrNotApplied):
		return syncNotApplied
	case err != nil:
		return syncRejected
	case result.Outcome == fsm.OK:
		return syncDone
	case result.Outcome == fsm.Replayed:
		return syncReplayed
	default:
		return syncRefused
	}
}

func (s *server) handleMetrics(c *call) error {
	s.metrics.gather.ServeHTTP(c.w, c.r)
	return nil
}
