package check

import (
	"maps"
	"slices"
	"time"

	"pipesync/test/jepsen/history"
)

const (
	// maxSlowness is by how much the clock of a leader may be slow.
	maxSlowness = 0.001
	// windowSlackSeconds is for requests under way, and for the leader's clock.
	windowSlackSeconds = 1
	rateLimited        = "RATE_LIMIT_EXCEEDED"
)

// Limit has no organization exceed its limit in any time of the window's length: of the syncs that began
// and were acknowledged within such, there are no more. And none is refused that has
// not used it up: at a refusal, as many have been sent in the window before.
// The window's time stands still where there is no leader, so that it may reach back
// further by as long as that may have been.
func Limit(h *history.History) *Report {
	r := newReport("rate limit")
	byOrg := map[string][]*history.Op{}
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Sync != nil && !op.Sync.Repeat {
			byOrg[op.Org] = append(byOrg[op.Org], op)
		}
	}
	full, still := newWindows(h), newStandstills(h)
	for _, org := range slices.Sorted(maps.Keys(byOrg)) {
		r.Figures["organizations"]++
		r.checkLimit(h, org, byOrg[org], full, still)
	}
	r.Figures["failovers within windows that were used up"] = full.count()
	return r
}

// windows has the moments at which another node began to lead, and which of them were
// within a window in which an organization had used up its limit.
type windows struct {
	failovers []time.Duration // ascending
	within    []bool
}

func newWindows(h *history.History) *windows {
	first := map[uint64]history.Leader{} // of each term, as soon as any node knew
	for _, l := range h.Leaders {
		if f, known := first[l.Term]; !known || l.Seen < f.Seen {
			first[l.Term] = l
		}
	}
	w := &windows{}
	leader := ""
	for _, term := range slices.Sorted(maps.Keys(first)) {
		if l := first[term]; l.Leader != leader {
			if leader != "" {
				w.failovers = append(w.failovers, l.Seen)
			}
			leader = l.Leader
		}
	}
	slices.Sort(w.failovers)
	w.within = make([]bool, len(w.failovers))
	return w
}

func (w *windows) usedUp(from, to time.Duration) {
	for i, at := range w.failovers {
		if at > from && at < to {
			w.within[i] = true
		}
	}
}

func (w *windows) count() (n int) {
	for _, within := range w.within {
		if within {
			n++
		}
	}
	return n
}

func (r *Report) checkLimit(h *history.History, org string, ops []*history.Op, full *windows, still *standstills) {
	limit := h.Limits[org]
	slices.SortStableFunc(ops, func(a, b *history.Op) int { return int(a.Invoked - b.Invoked) })
	for i, op := range ops {
		switch {
		case op.Outcome == history.OK:
			r.Figures["acknowledged syncs"]++
			end := op.Invoked + h.Window
			n := within(ops[i:], end)
			if n > limit {
				r.found([]int{op.ID}, "%s had %d syncs within %v, from %v on; its limit is %d", org, n, h.Window, op.Invoked, limit)
			}
			if n >= limit {
				full.usedUp(op.Invoked, end)
			}
			r.Figures["fullest window in percent of the limit"] = max(r.Figures["fullest window in percent of the limit"], 100*n/max(limit, 1))
		case op.Code == rateLimited:
			r.Figures["refusals"]++
			reach := time.Duration(float64(h.Window)*(1+maxSlowness)) + windowSlackSeconds*time.Second + still.within(op.Returned-2*h.Window, op.Returned)
			used := 0
			for _, other := range ops {
				if other != op && other.Outcome != history.Fail && other.Returned >= op.Invoked-reach && other.Invoked <= op.Returned {
					used++
				}
			}
			if used < limit {
				r.found([]int{op.ID}, "%s was refused at %v, after %d syncs in its window; its limit is %d", org, op.Returned, used, limit)
			}
		}
	}
}

// within counts the acknowledged syncs that have returned until then.
func within(ops []*history.Op, until time.Duration) (n int) {
	for _, op := range ops {
		if op.Invoked > until {
			break
		}
		if op.Outcome == history.OK && op.Returned <= until {
			n++
		}
	}
	return n
}
