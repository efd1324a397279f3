package api

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pipesync/fsm"
)

// syncReply is the body of a sync's 200. processed is the sum of the four
// counts of results.
type syncReply struct {
	Status           string          `json:"status"`
	DryRun           bool            `json:"dry_run,omitzero"`
	SyncID           string          `json:"sync_id,omitzero"` // of a sync that was applied
	Processed        int             `json:"processed"`
	Results          countsReply     `json:"results"`
	ByNamespace      namespaceCounts `json:"by_namespace"`
	Details          detailsReply    `json:"details"`
	Warnings         []warning       `json:"warnings,omitempty"`
	Index            uint64          `json:"index"`
	ProcessingTimeMS int64           `json:"processing_time_ms"`
}

type countsReply struct {
	Upserted uint32 `json:"upserted"`
	Deleted  uint32 `json:"deleted"`
	Failed   uint32 `json:"failed"` // 0: a batch lands whole
	Skipped  uint32 `json:"skipped"`
}

type detailsReply struct {
	Created   uint64 `json:"created"`
	Updated   uint64 `json:"updated"`
	Unchanged uint64 `json:"unchanged"`
	Removed   uint64 `json:"removed"`
}

// warning is something about a committed sync that its sender should know.
type warning struct {
	Code  string `json:"code"`
	Count uint32 `json:"count"`
}

const (
	warnStaleSkipped      = "STALE_OPERATIONS_SKIPPED"
	warnCheckpointSkipped = "STALE_CHECKPOINT_SKIPPED"
)

func warnings(r *fsm.SyncResult) (list []warning) {
	if r.Counts.Skipped > 0 {
		list = append(list, warning{warnStaleSkipped, r.Counts.Skipped})
	}
	if r.CheckpointSkipped {
		list = append(list, warning{warnCheckpointSkipped, 1})
	}
	return list
}

func newSyncReply(r *fsm.Result, operations int, elapsed time.Duration) syncReply {
	return syncReply{
		Status:           "success",
		SyncID:           r.Sync.SyncID,
		Processed:        operations,
		Results:          newCounts(r.Sync.Counts),
		ByNamespace:      r.Sync.ByNamespace,
		Details:          newDetails(r.Sync.Details),
		Warnings:         warnings(r.Sync),
		Index:            r.Index,
		ProcessingTimeMS: elapsed.Milliseconds(),
	}
}

func newCounts(c fsm.Counts) countsReply {
	return countsReply{Upserted: c.Upserted, Deleted: c.Deleted, Skipped: c.Skipped}
}

func newDetails(d fsm.Details) detailsReply {
	return detailsReply{Created: d.Created, Updated: d.Updated, Unchanged: d.Unchanged, Removed: d.Removed}
}

// namespaceCounts is an object with a member for each namespace, in the order
// in which the operations first name them.
type namespaceCounts []fsm.NamespaceCounts

// MarshalJSONTo implements json.MarshalerTo.
func (n namespaceCounts) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, c := range n {
		if err := enc.WriteToken(jsontext.String(c.Namespace)); err != nil {
			return err
		}
		if err := json.MarshalEncode(enc, newCounts(c.Counts)); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}
