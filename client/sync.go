package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Values of SyncRequest.Mode and Operation.Action.
const (
	Incremental = "incremental"
	// FullRefresh makes the operations of one request the whole content of
	// every namespace that they name.
	FullRefresh = "full_refresh"

	Upsert = "upsert"
	Delete = "delete"
)

// Values of SyncRequest.OnStale: what becomes of a batch of which some
// operations are older than what they would overwrite.
const (
	Skip   = "skip"   // they are skipped, and counted as such
	Reject = "reject" // the batch is refused with STALE_SYNC
)

const idempotencyKey = "Idempotency-Key"

// SyncRequest is one batch of at most 5000 operations. It is applied whole or
// not at all.
type SyncRequest struct {
	OrganizationID string `json:"organization_id"`
	VectorStoreID  string `json:"vector_store_id,omitempty"` // empty: the key's default
	Mode           string `json:"sync_mode"`
	Timestamp      string `json:"sync_timestamp,omitempty"` // RFC 3339
	OnStale        string `json:"on_stale,omitempty"`       // empty: Skip
	// MaxDeletePercent has the batch refused with DELETE_GUARD where it would
	// remove more of the live records of its namespaces: a number from 0 to 100
	// with at most 3 digits after the point. Empty: no guard.
	MaxDeletePercent json.Number `json:"max_delete_percent,omitempty"`
	// Checkpoint is stored with the operations, if it isn\'t older than the
	// pipeline\'s by Timestamp. Nil: none.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	Operations []Operation `json:"operations"`
	// DryRun has the batch decided about and nothing written: the reply has no
	// SyncID then.
	DryRun bool `json:"-"`
	// IdempotencyKey has the batch applied once, however often it is sent: 1 to
	// 255 visible ASCII characters, new for each batch. Empty: none.
	IdempotencyKey string `json:"-"`
}

// Checkpoint is how far a pipeline has got. State is any JSON value of at most
// 64 KiB; it is sent without the white space between its tokens.
type Checkpoint struct {
	Pipeline string          `json:"pipeline"`
	State    json.RawMessage `json:"state"`
}

// Operation upserts or deletes one record. A Delete has only Namespace and ID.
// Data and File are sent without the white space between their tokens, which
// changes no content hash.
type Operation struct {
	Action       string          `json:"action"`
	ID           string          `json:"id"`
	Namespace    string          `json:"namespace"`
	Data         json.RawMessage `json:"data,omitempty"` // a JSON object
	SourceSystem string          `json:"source_system,omitempty"`
	File         json.RawMessage `json:"file,omitempty"` // a JSON object
	CreatedAt    string          `json:"created_at,omitempty"`
	UpdatedAt    string          `json:"updated_at,omitempty"`
}

// SyncReply says what a committed batch did.
type SyncReply struct {
	Status           string            `json:"status"`
	DryRun           bool              `json:"dry_run"` // nothing was written
	SyncID           string            `json:"sync_id"`
	Processed        int               `json:"processed"`
	Results          Counts            `json:"results"`
	ByNamespace      map[string]Counts `json:"by_namespace"`
	Details          Details           `json:"details"`
	Index            uint64            `json:"index"`
	ProcessingTimeMS float64           `json:"processing_time_ms"`
	Warnings         []Warning         `json:"warnings,omitempty"`
	// Replayed is set where the batch had been applied before, under the same
	// IdempotencyKey; the reply is that of the first time.
	Replayed bool `json:"-"`
	// RateLimit is the organization's window after this request.
	RateLimit RateLimit `json:"-"`
}

// Counts count operations, also those that changed nothing.
type Counts struct {
	Upserted int `json:"upserted"`
	Deleted  int `json:"deleted"`
	Failed   int `json:"failed"`
	Skipped  int `json:"skipped"`
}

// Details count distinct ids by net effect.
type Details struct {
	Created   uint64 `json:"created"`
	Updated   uint64 `json:"updated"`
	Unchanged uint64 `json:"unchanged"`
	Removed   uint64 `json:"removed"`
}

// Warning is something about a successful batch that its sender should know.
type Warning struct {
	Code  string `json:"code"`
	Count int    `json:"count"`
}

// RateLimit is the X-RateLimit headers of a reply.
type RateLimit struct {
	Limit     int
	Remaining int
	Reset     time.Duration // until the oldest counted sync leaves the window
}

// Sync sends one batch. On a *ConnectionError with Sent it may or may not have
// been applied: with an IdempotencyKey it goes on to the next address, and may be
// sent again by the caller too. Without one, sending it again is right unless a
// later batch has gone out in between.
func (c *Client) Sync(ctx context.Context, req SyncRequest) (SyncReply, error) {
	if req.Operations == nil {
		req.Operations = []Operation{}
	}
	var reply SyncReply
	k := call{
		method: http.MethodPost, path: "/v1/pipeline/sync",
		credential: withAPIKey, body: req, out: &reply,
	}
	if req.DryRun {
		k.query, k.repeatable = url.Values{"dry_run": {"true"}}, true
	}
	if req.IdempotencyKey != "" {
		k.header = http.Header{idempotencyKey: {req.IdempotencyKey}}
		k.repeatable = true
	}
	header, err := c.do(ctx, k)
	if err != nil {
		return SyncReply{}, err
	}
	reply.Replayed = header.Get("Idempotent-Replayed") == "true"
	reply.RateLimit = RateLimit{
		Limit:     headerInt(header, "X-RateLimit-Limit"),
		Remaining: headerInt(header, "X-RateLimit-Remaining"),
		Reset:     time.Duration(headerInt(header, "X-RateLimit-Reset")) * time.Second,
	}
	return reply, nil
}

func headerInt(header http.Header, name string) int {
	n, _ := strconv.Atoi(header.Get(name)) // 0 where a proxy dropped it
	return n
}
