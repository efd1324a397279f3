package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"pipesync/api/syncjson"
	"pipesync/fsm"
)

// freshness is the latest moment of which this node's state is known to show
// everything: it had applied a read index that was asked for then. It is how
// old a stale read can be at most, without trust in clocks or heartbeats.
type freshness struct {
	nanos atomic.Int64 // since the server's start, plus one; 0: never
}

func (f *freshness) raise(sinceStart time.Duration) {
	next := int64(sinceStart) + 1
	for {
		known := f.nanos.Load()
		if known >= next || f.nanos.CompareAndSwap(known, next) {
			return
		}
	}
}

func (f *freshness) age(sinceStart time.Duration) (time.Duration, bool) {
	known := f.nanos.Load()
	return sinceStart - time.Duration(known-1), known != 0
}

// catchUp returns when this node shows every write acknowledged before the call.
func (s *server) catchUp(ctx context.Context) (index uint64, err error) {
	asked := time.Since(s.start)
	if index, err = s.Cluster.ReadIndex(ctx); err != nil {
		return 0, fmt.Errorf("asking for a read index: %w", err)
	}
	if err := s.waitApplied(ctx, index); err != nil {
		return 0, err
	}
	s.fresh.raise(asked)
	return index, nil
}

func (s *server) waitApplied(ctx context.Context, index uint64) error {
	err := s.State.WaitApplied(ctx, index)
	if errors.Is(err, context.DeadlineExceeded) {
		return fail(codeNotReady, "this node did not apply index %d in time", index).because(err)
	}
	if err != nil {
		return fmt.Errorf("waiting for index %d: %w", index, err)
	}
	return nil
}

// caughtUp says whether this node has ever, since its start, applied a read
// index obtained since its start. Until then even a stale read could show a
// state from before what this node itself has acknowledged.
func (s *server) caughtUp() bool {
	if _, ok := s.fresh.age(0); ok {
		return true
	}
	return s.Cluster.Status().CaughtUp
}

// freshnessWanted is what a read asks for.
type freshnessWanted struct {
	stale        bool
	maxStaleness time.Duration // of a stale read; 0: any
	minIndex     uint64
}

func parseFreshness(q url.Values) (freshnessWanted, error) {
	var w freshnessWanted
	switch q.Get("consistency") {
	case "", "linearizable":
	case "stale":
		w.stale = true
	default:
		return w, invalidParam("consistency", "must be linearizable or stale")
	}
	if text := q.Get("max_staleness"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return w, invalidParam("max_staleness", "must be a duration above 0, such as 500ms or 5s")
		}
		if !w.stale {
			return w, invalidParam("max_staleness", "goes with consistency=stale only")
		}
		w.maxStaleness = d
	}
	if text := q.Get("min_index"); text != "" {
		index, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return w, invalidParam("min_index", "must be an index, as X-Pipesync-Index has it")
		}
		w.minIndex = index
	}
	return w, nil
}

func invalidParam(name, rule string) *failure {
	return failField(codeValidationFailed, name, syncjson.InvalidValue, rule)
}

// viewFor returns a view as fresh as the request's parameters want it, and sets
// X-Pipesync-Index. The caller closes it.
func (s *server) viewFor(c *call) (*fsm.View, error) {
	want, err := parseFreshness(c.r.URL.Query())
	if err != nil {
		return nil, err
	}
	return s.view(c, want)
}

// view is viewFor of whom wants that.
func (s *server) view(c *call, want freshnessWanted) (*fsm.View, error) {
	if err := s.Audit.Refusal(); err != nil {
		return nil, fail(codeNotReady, "%v", err)
	}
	ctx, cancel := c.within(s.Limits.ReadTimeout)
	defer cancel()
	index := want.minIndex
	switch {
	case s.mustCatchUp(want):
		confirmed, err := s.catchUp(ctx)
		if err != nil {
			return nil, err
		}
		index = max(index, confirmed)
	case !s.caughtUp():
		return nil, fail(codeNotReady, "this node has not caught up with the cluster since it started")
	}
	if want.minIndex > s.State.Applied() {
		if err := s.waitApplied(ctx, want.minIndex); err != nil {
			return nil, err
		}
	}
	view, err := s.State.View()
	if err != nil {
		return nil, fmt.Errorf("opening a view: %w", err)
	}
	if view.Applied() < index {
		// A snapshot that took its time has put an older state here since.
		view.Close()
		return nil, fail(codeNotReady, "this node's state was replaced by an older one")
	}
	c.w.Header().Set("X-Pipesync-Index", strconv.FormatUint(view.Applied(), 10))
	return view, nil
}

func (s *server) mustCatchUp(want freshnessWanted) bool {
	if !want.stale {
		return true
	}
	if want.maxStaleness == 0 {
		return false
	}
	age, ok := s.fresh.age(time.Since(s.start))
	return !ok || age > want.maxStaleness
}
