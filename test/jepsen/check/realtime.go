package check

import (
	"slices"
	"time"

	"pipesync/test/jepsen/history"
)

// RealTime has every sync, and every linearizable read, come after all that had returned
// before it was invoked, whichever organization it is of: there is one log. A stale read
// may come before, but what it has shown was committed, and comes before all that follows.
// It takes O(n log n).
func RealTime(h *history.History) *Report {
	r := newReport("real time")
	type event struct {
		at  time.Duration
		end bool
		op  *history.Op
	}
	var events []event
	for i := range h.Ops {
		op := &h.Ops[i]
		if indexOf(op) != 0 {
			events = append(events, event{op.Invoked, false, op}, event{op.Returned, true, op})
		}
	}
	// At the same moment nothing has returned yet before what is invoked.
	slices.SortStableFunc(events, func(a, b event) int {
		switch {
		case a.at != b.at:
			return int(a.at - b.at)
		case a.end == b.end:
			return 0
		case a.end:
			return 1
		}
		return -1
	})
	var newest uint64
	var newestOp *history.Op
	least := map[*history.Op]struct {
		index uint64
		op    *history.Op
	}{}
	for _, e := range events {
		index := indexOf(e.op)
		if !e.end {
			least[e.op] = struct {
				index uint64
				op    *history.Op
			}{newest, newestOp}
			continue
		}
		before := least[e.op]
		if e.op.Sync != nil && before.op != nil && index <= before.index && !e.op.Sync.Repeat {
			r.found([]int{e.op.ID, before.op.ID}, "sync at index %d was invoked after index %d had been shown", index, before.index)
		}
		if e.op.Read != nil && e.op.Read.Linearizable && before.op != nil && index < before.index {
			r.found([]int{e.op.ID, before.op.ID}, "a linearizable read of the state at index %d was invoked after index %d had been shown", index, before.index)
		}
		r.Figures["operations"]++
		if index > newest {
			newest, newestOp = index, e.op
		}
	}
	return r
}

// indexOf is the index that an operation has shown; 0: it has shown none.
func indexOf(op *history.Op) uint64 {
	switch {
	case op.Outcome != history.OK:
		return 0
	case op.Sync != nil:
		return op.Sync.Index
	default:
		return op.Read.Index
	}
}
