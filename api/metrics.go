package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the edge's own families. Their labels are the route's pattern and
// the status: never an organization, a key or an id.
type metrics struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	operations prometheus.Counter
	gather     http.Handler
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pipesync_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pipesync_http_request_duration_seconds", Help: "Time from a request's header to its reply, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"route"}),
		operations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pipesync_sync_operations_total", Help: "Operations of the syncs acknowledged by this node.",
		}),
		gather: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.operations} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the HTTP metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) observe(route string, status int, elapsed time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(elapsed.Seconds())
}

func (s *server) handleMetrics(c *call) error {
	s.metrics.gather.ServeHTTP(c.w, c.r)
	return nil
}
