package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Linearizable and Stale are values of ReadOptions.Consistency.
const (
	Linearizable = "linearizable" // sees every sync acknowledged before the call
	Stale        = "stale"        // what the asked node has, without asking the leader
)

// ReadOptions apply to one read. The zero value is a linearizable read of the
// first page.
type ReadOptions struct {
	Consistency  string        // empty: Linearizable
	MaxStaleness time.Duration // of a Stale read; 0: any
	MinIndex     uint64        // waits until the node has applied this index; 0: any
	Limit        int           // rows a page, 1..1000; 0: 100
	Cursor       string        // NextCursor of the page before; empty: the first page
}

// Namespace is one namespace of a vector store.
type Namespace struct {
	Name       string    `json:"name"`
	Records    uint64    `json:"records"`
	Bytes      uint64    `json:"bytes"`  // of their ids and fields, as they were sent
	Digest     string    `json:"digest"` // hex; equal digests mean equal content
	Generation uint32    `json:"generation"`
	Index      uint64    `json:"index"` // of the last entry that named it
	UpdatedAt  time.Time `json:"updated_at"`
}

// NamespacePage is ordered by name.
type NamespacePage struct {
	Namespaces []Namespace `json:"namespaces"`
	NextCursor *string     `json:"next_cursor"` // nil: the last page
	Index      uint64      `json:"-"`           // state that was read
}

// Record is one live record. Pointers are nil where the upsert had no such field.
type Record struct {
	ID            string          `json:"id"`
	Namespace     string          `json:"namespace"`
	Data          json.RawMessage `json:"data"`
	SourceSystem  *string         `json:"source_system"`
	File          json.RawMessage `json:"file"`
	CreatedAt     *string         `json:"created_at"`
	UpdatedAt     *string         `json:"updated_at"`
	SyncTimestamp time.Time       `json:"sync_timestamp"`
	SyncID        string          `json:"sync_id"`
	ContentHash   string          `json:"content_hash"`
	Index         uint64          `json:"index"` // of its last change
}

// RecordPage is ordered by id.
type RecordPage struct {
	Records    []Record `json:"records"`
	NextCursor *string  `json:"next_cursor"` // nil: the last page
	Index      uint64   `json:"-"`           // state that was read
}

// PastSync is a batch that was committed, as the history has it.
type PastSync struct {
	SyncID        string    `json:"sync_id"`
	Index         uint64    `json:"index"`
	AppliedAt     time.Time `json:"applied_at"`
	KeyID         string    `json:"key_id"`
	VectorStoreID string    `json:"vector_store_id"`
	Mode          string    `json:"sync_mode"`
	Timestamp     time.Time `json:"sync_timestamp"` // the request's, or the one that it was given
	Idempotent    bool      `json:"idempotent"`     // came with an IdempotencyKey
	Pipeline      string    `json:"pipeline"`       // whose Checkpoint came with it; empty: none did
	Processed     int       `json:"processed"`
	Results       Counts    `json:"results"`
	// Namespaces is how many the operations name. ByNamespace may lack some of
	// them where they are more than 100.
	Namespaces  int               `json:"namespaces"`
	ByNamespace map[string]Counts `json:"by_namespace"`
	Details     Details           `json:"details"`
	Warnings    []Warning         `json:"warnings,omitempty"`
}

// StoredCheckpoint is a pipeline's Checkpoint with the sync that it came with.
type StoredCheckpoint struct {
	Checkpoint
	SyncID    string    `json:"sync_id"`
	Index     uint64    `json:"index"`
	UpdatedAt time.Time `json:"updated_at"`
}

// PastSyncPage has the newest first.
type PastSyncPage struct {
	Syncs      []PastSync `json:"syncs"`
	NextCursor *string    `json:"next_cursor"` // nil: the last page
	Index      uint64     `json:"-"`           // state that was read
}

// Syncs lists the history of the organization; of one vector store where store
// isn't empty.
func (c *Client) Syncs(ctx context.Context, store string, o ReadOptions) (PastSyncPage, error) {
	q := o.query()
	if store != "" {
		q.Set("vector_store_id", store)
	}
	var page PastSyncPage
	header, err := c.do(ctx, call{
		method: http.MethodGet, path: "/v1/pipeline/syncs", query: q, credential: withAPIKey, out: &page,
	})
	page.Index = stateIndex(header)
	return page, err
}

// PastSync reads one sync of the history; SYNC_NOT_FOUND where there is none.
func (c *Client) PastSync(ctx context.Context, id string, o ReadOptions) (PastSync, error) {
	var s PastSync
	_, err := c.read(ctx, "/v1/pipeline/syncs/"+segment(id), o, &s)
	return s, err
}

// Checkpoint reads how far a pipeline has got; CHECKPOINT_NOT_FOUND where it never
// stored a checkpoint.
func (c *Client) Checkpoint(ctx context.Context, pipeline string, o ReadOptions) (StoredCheckpoint, error) {
	var stored StoredCheckpoint
	_, err := c.read(ctx, "/v1/pipeline/checkpoints/"+segment(pipeline), o, &stored)
	return stored, err
}

// DeletedCheckpoint says that a pipeline has no checkpoint any longer.
type DeletedCheckpoint struct {
	Pipeline string `json:"pipeline"`
	Deleted  bool   `json:"deleted"`
	Index    uint64 `json:"index"` // of its deletion
}

// DeleteCheckpoint forgets how far a pipeline has got: its next checkpoint is its
// first. An error with the code CHECKPOINT_NOT_FOUND says that it has none.
func (c *Client) DeleteCheckpoint(ctx context.Context, pipeline string) (DeletedCheckpoint, error) {
	var out DeletedCheckpoint
	_, err := c.do(ctx, call{
		method: http.MethodDelete, path: "/v1/pipeline/checkpoints/" + segment(pipeline), credential: withAPIKey, out: &out,
	})
	return out, err
}

// Namespaces lists the namespaces of a vector store.
func (c *Client) Namespaces(ctx context.Context, store string, o ReadOptions) (NamespacePage, error) {
	var page NamespacePage
	header, err := c.read(ctx, storePath(store), o, &page)
	page.Index = stateIndex(header)
	return page, err
}

// Namespace reads one namespace.
func (c *Client) Namespace(ctx context.Context, store, namespace string, o ReadOptions) (Namespace, error) {
	var ns Namespace
	_, err := c.read(ctx, storePath(store)+"/"+segment(namespace), o, &ns)
	return ns, err
}

// Records lists the live records of a namespace. A refresh between two pages
// ends the walk with CURSOR_EXPIRED: start over.
func (c *Client) Records(ctx context.Context, store, namespace string, o ReadOptions) (RecordPage, error) {
	var page RecordPage
	header, err := c.read(ctx, storePath(store)+"/"+segment(namespace)+"/records", o, &page)
	page.Index = stateIndex(header)
	return page, err
}

// Record reads one record; RECORD_NOT_FOUND where there is none.
func (c *Client) Record(ctx context.Context, store, namespace, id string, o ReadOptions) (Record, error) {
	var record Record
	_, err := c.read(ctx, storePath(store)+"/"+segment(namespace)+"/records/"+segment(id), o, &record)
	return record, err
}

func (c *Client) read(ctx context.Context, path string, o ReadOptions, out any) (http.Header, error) {
	return c.do(ctx, call{
		method: http.MethodGet, path: path, query: o.query(), credential: withAPIKey, out: out,
	})
}

func (o ReadOptions) query() url.Values {
	q := url.Values{}
	if o.Consistency != "" {
		q.Set("consistency", o.Consistency)
	}
	if o.MaxStaleness > 0 {
		q.Set("max_staleness", o.MaxStaleness.String())
	}
	if o.MinIndex > 0 {
		q.Set("min_index", strconv.FormatUint(o.MinIndex, 10))
	}
	setPage(q, o.Limit, o.Cursor)
	return q
}

func setPage(q url.Values, limit int, cursor string) {
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
}

func storePath(store string) string {
	return "/v1/vector-stores/" + segment(store) + "/namespaces"
}

func stateIndex(header http.Header) uint64 {
	index, _ := strconv.ParseUint(header.Get("X-Pipesync-Index"), 10, 64)
	return index
}

// DeletedNamespace says that a namespace is gone.
type DeletedNamespace struct {
	VectorStoreID string `json:"vector_store_id"`
	Namespace     string `json:"namespace"`
	Deleted       bool   `json:"deleted"`
	Index         uint64 `json:"index"` // of its deletion
}

// DeleteNamespace removes all records of a namespace. An error with the code
// NAMESPACE_NOT_FOUND says that there is none.
func (c *Client) DeleteNamespace(ctx context.Context, store, namespace string) (DeletedNamespace, error) {
	var out DeletedNamespace
	_, err := c.do(ctx, call{
		method: http.MethodDelete, path: storePath(store) + "/" + segment(namespace), credential: withAPIKey, out: &out,
	})
	return out, err
}
