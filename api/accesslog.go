package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// finish counts the call and writes its one line in the access log. No record,
// key or token is ever in it.
func (s *server) finish(c *call) {
	c.body.release()
	s.takeDown(c)
	elapsed := time.Since(c.started)
	s.metrics.finished(c, elapsed)
	level := slog.LevelInfo
	if isProbe(c.route) {
		level = slog.LevelDebug
	}
	ctx := context.Background() // the request's may be over
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", c.id),
		slog.String("method", c.r.Method),
		slog.String("route", c.route),
		slog.Int("status", c.w.status),
		slog.String("code", string(c.code)),
		slog.String("organization_id", c.caller.org),
		slog.String("key_id", c.caller.keyID),
		slog.Int64("bytes_in", c.body.bytes),
		slog.Int64("bytes_out", c.w.bytes),
		slog.Int("operations", c.operations),
		slog.Duration("duration", elapsed),
		slog.String("node", s.NodeID),
		slog.String("leader", s.Cluster.LeaderID()),
	}
	if id := c.traceID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	s.log.LogAttrs(ctx, level, "request", attrs...)
}

// isProbe names the routes that machines ask every few seconds.
func isProbe(route string) bool {
	switch route {
	case "GET /livez", "GET /readyz", "GET /healthz", "GET /metrics", "GET /v1/pipeline/health":
		return true
	}
	return false
}

// rescue answers a panic of a handler with INTERNAL: one request must not end
// a node that serves others. http.ErrAbortHandler passes, as net/http wants it.
func (s *server) rescue(c *call) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}
	err := fmt.Errorf("handler panicked: %v\n%s", cause, debug.Stack())
	s.tell(c, fail(codeInternal, "the request failed; the node's log has the cause").because(err))
}
