package check

import (
	"time"

	"pipesync/test/jepsen/history"
)

// Leaders has all nodes know the same leader of a term.
func Leaders(h *history.History) *Report {
	r := newReport("one leader a term")
	of := map[uint64]history.Leader{}
	for _, l := range h.Leaders {
		first, known := of[l.Term]
		if !known {
			of[l.Term] = l
		} else if first.Leader != l.Leader {
			r.found(nil, "in term %d %s takes %s for the leader, and %s %s", l.Term, first.Node, first.Leader, l.Node, l.Leader)
		}
	}
	r.Figures["terms"], r.Figures["answers"] = len(of), len(h.Leaders)
	return r
}

// Replicas has all nodes have the same rows in the end: a hash over all of them, at one
// index.
func Replicas(h *history.History) *Report {
	r := newReport("replicas")
	for _, f := range h.Finals {
		r.Figures["nodes"]++
		if f.Diverged != "" {
			r.found(nil, "%s has diverged: %s", f.Node, f.Diverged)
			continue
		}
		if first := h.Finals[0]; f.Index != first.Index || f.Hash != first.Hash {
			r.found(nil, "%s has %s at index %d, %s has %s at index %d", first.Node, first.Hash, first.Index, f.Node, f.Hash, f.Index)
		}
	}
	if len(h.Finals) != h.Nodes && h.Incomplete == "" {
		r.found(nil, "%d of %d nodes have told what they have in the end", len(h.Finals), h.Nodes)
	}
	return r
}

// maxRecoverySeconds is how long after a fault has ended until all nodes take syncs.
const maxRecoverySeconds = 10

// Recovery has syncs succeed through every node soon after a fault has ended.
func Recovery(h *history.History) *Report {
	r := newReport("recovery")
	for _, f := range h.Faults {
		if f.Proof == "" {
			r.Figures["faults without an effect"]++
			continue
		}
		r.Figures["faults"]++
		took := f.Recovered - f.Healed
		r.Figures["longest recovery in ms"] = max(r.Figures["longest recovery in ms"], int(took.Milliseconds()))
		if f.Recovered == 0 || took > maxRecoverySeconds*time.Second {
			r.found(nil, "%s on %v ended at %v, and all nodes took syncs %v later", f.Kind, f.On, f.Healed, took)
		}
	}
	return r
}
