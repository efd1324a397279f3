package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// KeyRequest describes a new API key.
type KeyRequest struct {
	OrganizationID string `json:"organization_id"` // made if missing
	Name           string `json:"name,omitempty"`
	// VectorStoreID becomes the key's default store, made if missing.
	VectorStoreID string `json:"vector_store_id,omitempty"`
	// What the key may do: what is empty isn't limited. Actions are of read,
	// upsert, delete, full_refresh and delete_namespace. Namespaces are patterns:
	// a name, or the beginning of names and a *.
	Actions          []string `json:"actions,omitempty"`
	VectorStoreIDs   []string `json:"vector_store_ids,omitempty"`
	Namespaces       []string `json:"namespaces,omitempty"`
	ExpiresInSeconds int64    `json:"expires_in_seconds,omitempty"` // 0: never
}

// NewKey is a key just made: the only time that its text is told.
type NewKey struct {
	Key string `json:"key"`
	KeyInfo
}

// KeyInfo is a key without its secret, as it was made.
type KeyInfo struct {
	KeyID          string  `json:"key_id"`
	OrganizationID string  `json:"organization_id"`
	VectorStoreID  *string `json:"vector_store_id"` // nil: no default store
	Name           string  `json:"name"`
	// Unlike in a request, what isn't limited is null.
	Actions        []string   `json:"actions"`
	VectorStoreIDs []string   `json:"vector_store_ids"`
	Namespaces     []string   `json:"namespaces"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      *time.Time `json:"expires_at"` // nil: never
}

// Key is a key without its secret.
type Key struct {
	KeyInfo
	RevokedAt *time.Time `json:"revoked_at"` // nil: not revoked
	RotatedTo *string    `json:"rotated_to"` // id of the key that replaces it; nil: none does
}

// RotatedKey is a key just made, and the one that it replaces.
type RotatedKey struct {
	NewKey
	Previous Key `json:"previous"`
}

// KeyPage is ordered by key id.
type KeyPage struct {
	Keys       []Key   `json:"keys"`
	NextCursor *string `json:"next_cursor"` // nil: the last page
}

// RevokedKey confirms a revocation.
type RevokedKey struct {
	KeyID   string `json:"key_id"`
	Revoked bool   `json:"revoked"`
	Index   uint64 `json:"index"` // no sync behind it is committed with the key
}

// ListOptions choose a page. The zero value is the first page of everything.
type ListOptions struct {
	OrganizationID string // empty: all
	Limit          int    // rows, 1..1000; 0: 100
	Cursor         string // NextCursor of the page before; empty: the first page
}

// CreateKey makes an API key. It is not idempotent: after a *ConnectionError
// with Sent, list the keys.
func (c *Client) CreateKey(ctx context.Context, req KeyRequest) (NewKey, error) {
	return admin[NewKey](ctx, c, http.MethodPost, "/v1/admin/keys", nil, req)
}

// Keys lists API keys.
func (c *Client) Keys(ctx context.Context, o ListOptions) (KeyPage, error) {
	return admin[KeyPage](ctx, c, http.MethodGet, "/v1/admin/keys", o.query(), nil)
}

// RevokeKey ends a key at once. Revoking a revoked key succeeds.
func (c *Client) RevokeKey(ctx context.Context, keyID string) (RevokedKey, error) {
	return admin[RevokedKey](ctx, c, http.MethodDelete, "/v1/admin/keys/"+segment(keyID), nil, nil)
}

// RotateKey makes a key that may do the same as another, which works on for the
// overlap, in whole seconds, and is revoked at once where that is 0. It is no more
// idempotent than CreateKey.
func (c *Client) RotateKey(ctx context.Context, keyID string, overlap time.Duration) (RotatedKey, error) {
	body := struct {
		OverlapSeconds int64 `json:"overlap_seconds"`
	}{int64(overlap / time.Second)}
	return admin[RotatedKey](ctx, c, http.MethodPost, "/v1/admin/keys/"+segment(keyID)+"/rotate", nil, body)
}

func (o ListOptions) query() url.Values {
	q := url.Values{}
	if o.OrganizationID != "" {
		q.Set("organization_id", o.OrganizationID)
	}
	setPage(q, o.Limit, o.Cursor)
	return q
}
