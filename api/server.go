package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// server holds the edge's wiring. Its own state is only what may be lost.
type server struct {
	Deps
	log     *slog.Logger
	router  *router
	metrics *metrics
	misses  *misses
	lookups chan struct{} // a slot for each look-up at the read index
	dryRuns chan struct{} // a slot for each dry run
	backups chan struct{} // a slot for each backup
	fresh   freshness
	joined  atomic.Bool // latched: a node never leaves a cluster and lives on
	held    *heldBodies
	start   time.Time
}

func newServer(d Deps) (*server, error) {
	held := newHeldBodies(d.Limits.MaxBufferedBodyBytes)
	m, err := newMetrics(d.Registry, held)
	if err != nil {
		return nil, err
	}
	s := &server{
		Deps: d, log: d.Logger, metrics: m,
		misses:  newMisses(maxMisses, missLifetime, time.Now),
		lookups: make(chan struct{}, d.Limits.MaxLookups),
		dryRuns: make(chan struct{}, d.Limits.MaxDryRuns),
		backups: make(chan struct{}, maxBackups),
		held:    held,
		start:   time.Now(),
	}
	s.router = newRouter(s.routes())
	if err := d.Registry.Register(stateCollector{s}); err != nil {
		return nil, fmt.Errorf("registering the state's metrics: %w", err)
	}
	return s, nil
}

// ServeHTTP implements http.Handler: one call from its first byte to its log
// line.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{
		w: &responseWriter{ResponseWriter: w}, r: r,
		id: requestID(r.Header), trace: traceOf(r.Header), route: unmatchedRoute, started: time.Now(),
	}
	c.w.Header().Set("X-Request-ID", c.id)
	s.metrics.inFlight.Inc()
	defer s.finish(c)
	defer s.rescue(c)
	if err := s.dispatch(c); err != nil {
		s.tell(c, err)
	}
}

const unmatchedRoute = "unmatched"

func (s *server) dispatch(c *call) error {
	found, params, allow := s.router.find(c.r)
	if found == nil && allow != "" {
		c.w.Header().Set("Allow", allow)
		return fail(codeMethodNotAllowed, "the route has no method %s", c.r.Method)
	}
	if found == nil {
		return fail(codeRouteNotFound, "no route has this path")
	}
	c.found, c.route, c.params = found, found.name(), params
	if !found.unjoined && !s.isJoined() {
		return fail(codeNotJoined, "this node belongs to no cluster yet")
	}
	var err error
	switch found.access {
	case keyed:
		// Keys are read from the state, too.
		if err := s.Audit.Alarm(); err != nil {
			return fail(codeNotReady, "%v", err)
		}
		c.caller, err = s.authenticate(c)
	case admin:
		err = s.authenticateAdmin(c)
	}
	if err != nil {
		return err
	}
	return found.handle(c)
}

func (s *server) isJoined() bool {
	if s.joined.Load() {
		return true
	}
	if s.Cluster.Status().ClusterID == "" {
		return false
	}
	s.joined.Store(true)
	return true
}
