package cluster

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A request that a client has sent is followed over the hop: its id and its W3C trace
// context go with the operation, so that the logs of both nodes name them. See
// https://www.w3.org/TR/trace-context/.

const (
	headerRequestID = "X-Request-Id"
	// maxRequestIDBytes bounds an id on the wire; a longer one is left out.
	maxRequestIDBytes = 128
	// slowHop is how long an operation takes that is told without being asked for.
	slowHop = time.Second
)

var traceContext propagation.TraceContext

type requestIDKey struct{}

// WithRequestID names the client's request for which operations under ctx are done.
// Its trace context is that of package trace.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

func requestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// sendOrigin tells the leader for whom an operation is done. What vendors put in a
// tracestate isn't of use between members, and may be long.
func sendOrigin(ctx context.Context, h http.Header) {
	if id := requestIDOf(ctx); id != "" && len(id) <= maxRequestIDBytes {
		h.Set(headerRequestID, id)
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		bare := trace.ContextWithRemoteSpanContext(ctx, span.WithTraceState(trace.TraceState{}))
		traceContext.Inject(bare, propagation.HeaderCarrier(h))
	}
}

// withOrigin is sendOrigin's inverse.
func withOrigin(ctx context.Context, h http.Header) context.Context {
	if id := h.Get(headerRequestID); id != "" && len(id) <= maxRequestIDBytes {
		ctx = WithRequestID(ctx, id)
	}
	return traceContext.Extract(ctx, propagation.HeaderCarrier(h))
}

// logHop tells that this node has done an operation for another one. Where the trace
// is sampled, or it took long, everybody wants to know; else it is for debugging.
func (n *Node) logHop(r *http.Request, began time.Time, err error) {
	ctx := traceContext.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	span := trace.SpanContextFromContext(ctx)
	took := time.Since(began)
	level := slog.LevelDebug
	if span.IsSampled() || took >= slowHop {
		level = slog.LevelInfo
	}
	if !n.cfg.Logger.Enabled(ctx, level) {
		return
	}
	o, cause := outcomeOf(err)
	attrs := []slog.Attr{
		slog.String("request_id", r.Header.Get(headerRequestID)),
		slog.String("operation", strings.TrimPrefix(r.URL.Path, pathPrefix)),
		slog.String("from", r.RemoteAddr),
		slog.String("term", r.Header.Get(headerTerm)),
		slog.Int64("bytes_in", r.ContentLength),
		slog.String("outcome", string(o)),
		slog.String("cause", cause),
		slog.Duration("duration", took),
		slog.String("node", n.identity().NodeID),
	}
	if span.IsValid() {
		attrs = append(attrs, slog.String("trace_id", span.TraceID().String()))
	}
	n.cfg.Logger.LogAttrs(ctx, level, "operation of another member", attrs...)
}
