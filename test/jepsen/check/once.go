package check

import (
	"fmt"
	"slices"

	"pipesync/test/jepsen/history"
)

// Once has each batch applied once at most, and each acknowledged one once: all replies
// to one key are the same, no two batches share an index, and the cluster's own history
// has the acknowledged ones and of the others none twice.
func Once(h *history.History) *Report {
	r := newReport("exactly once")
	byKey, byIndex, bySync := map[string]*history.Op{}, map[uint64]*history.Op{}, map[string]*history.Op{}
	unknown := map[string]int{} // by organization and namespaces: of which the history may have one more
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Sync == nil || op.Outcome == history.Fail {
			continue
		}
		if op.Outcome == history.Unknown {
			unknown[about(op.Org, namespacesOf(op))]++
			continue
		}
		r.Figures["acknowledged syncs"]++
		if key := op.Org + " " + op.Sync.Key; op.Sync.Key != "" {
			first, again := byKey[key]
			if !again {
				byKey[key] = op
			} else {
				r.Figures["repeated syncs"]++
				if !op.Sync.Replayed {
					r.found([]int{first.ID, op.ID}, "key %s was answered as if it were new", op.Sync.Key)
				}
				if first.Sync.Index != op.Sync.Index || first.Sync.SyncID != op.Sync.SyncID || first.Sync.Details != op.Sync.Details {
					r.found([]int{first.ID, op.ID}, "key %s was answered with %s at index %d, %+v, and with %s at index %d, %+v",
						op.Sync.Key, first.Sync.SyncID, first.Sync.Index, first.Sync.Details, op.Sync.SyncID, op.Sync.Index, op.Sync.Details)
				}
				continue
			}
		}
		if other, taken := byIndex[op.Sync.Index]; taken {
			r.found([]int{other.ID, op.ID}, "two batches are at index %d", op.Sync.Index)
		}
		byIndex[op.Sync.Index], bySync[op.Sync.SyncID] = op, op
	}
	if h.Incomplete == "" {
		r.checkCommits(h, bySync, unknown)
	}
	return r
}

func (r *Report) checkCommits(h *history.History, bySync map[string]*history.Op, unknown map[string]int) {
	committed := map[string]history.Commit{}
	for _, c := range h.Commits {
		if other, twice := committed[c.SyncID]; twice {
			r.found(nil, "the history of %s has %s twice, at indexes %d and %d", c.Org, c.SyncID, other.Index, c.Index)
		}
		committed[c.SyncID] = c
		op := bySync[c.SyncID]
		switch {
		case op == nil:
			r.Figures["syncs that were applied and not acknowledged"]++
			of := about(c.Org, c.Namespaces)
			if unknown[of]--; unknown[of] < 0 {
				r.found(nil, "the history of %s has %s at index %d, which nobody has sent without an answer: something was applied twice, or though it was refused",
					c.Org, c.SyncID, c.Index)
			}
		case op.Sync.Index != c.Index:
			r.found([]int{op.ID}, "%s was acknowledged at index %d, and is at %d in the history", c.SyncID, op.Sync.Index, c.Index)
		}
	}
	for id, op := range bySync {
		if _, there := committed[id]; !there {
			r.found([]int{op.ID}, "%s, acknowledged at index %d, is not in the history", id, op.Sync.Index)
		}
	}
	r.Figures["committed syncs"] = len(committed)
}

// about names the syncs of an organization that are about the same namespaces.
func about(org string, namespaces []string) string {
	return fmt.Sprint(org, " ", slices.Sorted(slices.Values(namespaces)))
}
