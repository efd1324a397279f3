// Package check holds a history against what Pipesync promises. Each checker says what
// it has looked at, so that a run that shows nothing can be told from one that finds
// nothing.
package check

import (
	"fmt"
	"slices"

	"pipesync/test/jepsen/history"
)

// maxAnomalies of one checker are told; the others are counted.
const maxAnomalies = 20

// Report is what one checker has found.
type Report struct {
	Name      string         `json:"name"`
	Figures   map[string]int `json:"figures"` // what it has looked at
	Anomalies []Anomaly      `json:"anomalies,omitempty"`
	Untold    int            `json:"untold,omitempty"` // anomalies beyond those
}

// Anomaly is a promise that was broken.
type Anomaly struct {
	What string `json:"what"`
	Ops  []int  `json:"ops,omitempty"` // by ID
}

func newReport(name string) *Report { return &Report{Name: name, Figures: map[string]int{}} }

// OK says that nothing was found.
func (r *Report) OK() bool { return len(r.Anomalies) == 0 }

func (r *Report) found(ops []int, format string, args ...any) {
	if len(r.Anomalies) == maxAnomalies {
		r.Untold++
		return
	}
	r.Anomalies = append(r.Anomalies, Anomaly{What: fmt.Sprintf(format, args...), Ops: ops})
}

// All runs all checkers.
func All(h *history.History) []*Report {
	return []*Report{
		Linearizable(h), RealTime(h), Once(h), Contents(h), Changes(h), Keys(h), Attempts(h), Backups(h), Crashes(h), Limit(h), Leaders(h), Replicas(h), Recovery(h), Rots(h),
	}
}

// acknowledged are the syncs that have a reply, by index, each key once.
func acknowledged(h *history.History) []*history.Op {
	var all []*history.Op
	seen := map[string]bool{}
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Sync == nil || op.Outcome != history.OK || seen[op.Sync.SyncID] {
			continue
		}
		seen[op.Sync.SyncID] = true
		all = append(all, op)
	}
	slices.SortStableFunc(all, func(a, b *history.Op) int { return compare(a.Sync.Index, b.Sync.Index) })
	return all
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
