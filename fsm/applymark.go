package fsm

import (
	"fmt"

	"pipesync/storage"
)

// Marked is what one node saw when it applied a Mark. Nodes whose Own differ at
// an index have states that were made by different writes. Nothing of it is in
// the state: what a node makes of it is its own affair.
type Marked struct {
	// Own is this node's chain before the entry.
	Own storage.Mark
	// Differs says that this node's chain at an earlier mark, Before, isn't the
	// proposer's, Proposed.
	Differs          bool
	Before, Proposed storage.Mark
	// Scrub asks to hash all rows as they are at this mark.
	Scrub bool
}

// decide remembers the chain as it was before the entry.
func (m *Mark) decide(tx *transaction) (*Result, error) {
	marks, err := tx.db.Marks()
	if err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	own := storage.Mark{Index: tx.index, Chain: tx.system.Chain}
	tx.marked = &Marked{Own: own, Scrub: m.Scrub}
	for _, before := range marks.Last {
		if before.Index == m.Previous.Index && before.Chain != m.Previous.Chain {
			tx.marked.Differs, tx.marked.Before, tx.marked.Proposed = true, before, m.Previous
		}
	}
	marks.Last = append(marks.Last, own)
	marks.Last = marks.Last[max(0, len(marks.Last)-storage.MarksMax):]
	if m.Scrub {
		marks.ScrubIndex, marks.ScrubAt = tx.index, tx.system.ClusterTime
	}
	tx.batch.PutMarks(marks)
	return tx.done(false), nil
}
