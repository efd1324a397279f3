package fsm

import (
	"fmt"

	"pipesync/storage"
)

// maxCheckpoints is how many pipelines of an organization may have one.
const maxCheckpoints = 1000

// checkpointCheck is what a sync's checkpoint meets. Those of one pipeline are
// ordered like versions of a record: by sync_timestamp, and at equality by the log.
type checkpointCheck struct {
	row   storage.PipelineCheckpoint
	found bool
	stale bool // the sync's is older
}

// readCheckpoint is the check of a sync that has a checkpoint.
func readCheckpoint(r storage.Reader, org storage.OrgNum, h *Header) (c checkpointCheck, err error) {
	c.row, c.found, err = r.PipelineCheckpoint(org, h.Checkpoint.Pipeline)
	if err != nil {
		return c, fmt.Errorf("read checkpoint: %w", err)
	}
	c.stale = h.HasTimestamp && h.Timestamp < c.row.Timestamp
	return c, nil
}

// full says whether the organization has no room for the sync's.
func (c *checkpointCheck) full(r storage.Reader, org storage.OrgNum) (bool, error) {
	if c.found {
		return false, nil
	}
	head, err := r.HistoryHead(org)
	if err != nil {
		return false, fmt.Errorf("count checkpoints: %w", err)
	}
	return head.Checkpoints >= maxCheckpoints, nil
}

// storeCheckpoint stores the sync's, unless a newer one is there. A sync without
// a timestamp is never older, and leaves the stored one's to those that have one.
func (w *syncWriter) storeCheckpoint(check *syncCheck) {
	given, met := w.entry.Checkpoint, &check.checkpoint
	if given == nil {
		return
	}
	if w.result.CheckpointSkipped = met.stale; met.stale {
		return
	}
	if !met.found {
		check.history.head.Checkpoints++
	}
	w.batch.PutPipelineCheckpoint(check.history.org, given.Pipeline, storage.PipelineCheckpoint{
		State: given.State, Timestamp: max(met.row.Timestamp, w.timestamp),
		SyncID: w.entry.SyncID, Index: w.index, UpdatedAt: w.wall,
	})
}

// decide forgets all about the pipeline, its order too: whoever deletes a checkpoint
// wants to begin anew, with whatever timestamps.
func (c *CheckpointDelete) decide(tx *transaction) (*Result, error) {
	outcome, err := c.apply(tx)
	if err != nil {
		return nil, fmt.Errorf("delete checkpoint: %w", err)
	}
	if outcome != OK {
		return tx.refuse(outcome), nil
	}
	return tx.done(false), nil
}

func (c *CheckpointDelete) apply(tx *transaction) (Outcome, error) {
	outcome, err := checkKey(tx.db, c.KeyID, c.Org, tx.wall, Scope.DenyCheckpoint)
	if err != nil || outcome != OK {
		return outcome, err
	}
	org, _, err := tx.db.Org(c.Org)
	if err != nil {
		return 0, err
	}
	_, found, err := tx.db.PipelineCheckpoint(org.Num, c.Pipeline)
	if err != nil || !found {
		return CheckpointNotFound, err
	}
	head, err := tx.db.HistoryHead(org.Num)
	if err == nil && head.Checkpoints == 0 {
		err = fmt.Errorf("%w: a checkpoint isn't counted", storage.ErrCorrupt)
	}
	if err != nil {
		return 0, err
	}
	head.Checkpoints--
	tx.batch.DeletePipelineCheckpoint(org.Num, c.Pipeline)
	tx.batch.PutHistoryHead(org.Num, head)
	return OK, nil
}
