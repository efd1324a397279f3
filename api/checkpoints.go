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
			return fail(codeCheckpointNotFound, "the organization has no checkpoint of this pipeline")
		}
		b := appendString([]byte(`{"pipeline":`), pipeline)
		b = appendRaw(b, `,"state":`, row.State)
		b = appendString(append(b, `,"sync_id":`...), row.SyncID)
		b = fmt.Appendf(b, `,"index":%d,"updated_at":"%s"}`, row.Index, timestamp(row.UpdatedAt))
		c.replyJSON(http.StatusOK, b)
		return nil
	})
}
