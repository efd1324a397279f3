package api

import (
	"fmt"
	"net/http"

	"pipesync/fsm"
)

// The reply is encoded by hand, so that the state goes out byte for byte.
func (s *server) handleCheckpoint(c *call) error {
	return s.readOrg(c, func(v *fsm.View) error {
		pipeline := c.param("pipeline")
		row, found, err := v.Checkpoint(c.caller.org, pipeline)
		if err != nil {
			return fmt.Errorf("reading a checkpoint: %w", err)
		}
		if !found {
			return refusal(fsm.CheckpointNotFound)
		}
		b := appendString([]byte(`{"pipeline":`), pipeline)
		b = appendRaw(b, `,"state":`, row.State)
		b = appendString(append(b, `,"sync_id":`...), row.SyncID)
		b = fmt.Appendf(b, `,"index":%d,"updated_at":"%s"}`, row.Index, timestamp(row.UpdatedAt))
		c.replyJSON(http.StatusOK, b)
		return nil
	})
}

type checkpointDeletedReply struct {
	Pipeline string `json:"pipeline"`
	Deleted  bool   `json:"deleted"`
	Index    uint64 `json:"index"`
}

// handleCheckpointDelete forgets how far a pipeline has got. Whether it has a
// checkpoint is decided in the log, since a sync may be on its way there.
func (s *server) handleCheckpointDelete(c *call) error {
	pipeline := c.param("pipeline")
	if denial := c.caller.scope.DenyCheckpoint(); denial != nil {
		return denied(denial)
	}
	if len(pipeline) > fsm.MaxNameBytes { // which no pipeline has
		return refusal(fsm.CheckpointNotFound)
	}
	ctx, cancel := c.within(s.Limits.SyncTimeout)
	defer cancel()
	result, err := s.callerCommand(ctx, &fsm.CheckpointDelete{
		RequestID: mintRequestID(), Org: c.caller.org, KeyID: c.caller.keyID, Pipeline: pipeline,
	})
	if err != nil {
		return err
	}
	c.reply(http.StatusOK, checkpointDeletedReply{pipeline, true, result.Index})
	return nil
}
