package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// StoreRequest names a new vector store.
type StoreRequest struct {
	OrganizationID string `json:"organization_id"` // made if missing
	VectorStoreID  string `json:"vector_store_id"`
}

// NewStore says whether a store was made or existed.
type NewStore struct {
	OrganizationID string `json:"organization_id"`
	VectorStoreID  string `json:"vector_store_id"`
	Created        bool   `json:"created"`
}

// Store is a vector store.
type Store struct {
	OrganizationID string    `json:"organization_id"`
	VectorStoreID  string    `json:"vector_store_id"`
	CreatedAt      time.Time `json:"created_at"`
	Usage          Usage     `json:"usage"`
}

// StorePage is ordered by organization and name.
type StorePage struct {
	Stores     []Store `json:"stores"`
	NextCursor *string `json:"next_cursor"` // nil: the last page
}

// CreateStore makes a vector store; one that exists is no error.
func (c *Client) CreateStore(ctx context.Context, req StoreRequest) (NewStore, error) {
	return admin[NewStore](ctx, c, http.MethodPost, "/v1/admin/stores", nil, req)
}

// Stores lists vector stores.
func (c *Client) Stores(ctx context.Context, o ListOptions) (StorePage, error) {
	return admin[StorePage](ctx, c, http.MethodGet, "/v1/admin/stores", o.query(), nil)
}

// DeletedStore says that a vector store is gone.
type DeletedStore struct {
	OrganizationID string `json:"organization_id"`
	VectorStoreID  string `json:"vector_store_id"`
	Deleted        bool   `json:"deleted"`
}

// DeleteStore removes a vector store and all that is in it. An error with the code
// VECTOR_STORE_NOT_FOUND says that there is none.
func (c *Client) DeleteStore(ctx context.Context, org, store string) (DeletedStore, error) {
	return admin[DeletedStore](ctx, c, http.MethodDelete, "/v1/admin/stores/"+segment(store), url.Values{"organization_id": {org}}, nil)
}

// Organization is one organization.
type Organization struct {
	OrganizationID string    `json:"organization_id"`
	CreatedAt      time.Time `json:"created_at"`
	Usage          Usage     `json:"usage"`
}

// OrganizationPage is ordered by name.
type OrganizationPage struct {
	Organizations []Organization `json:"organizations"`
	NextCursor    *string        `json:"next_cursor"` // nil: the last page
}

// DeletedOrganization says that an organization is gone.
type DeletedOrganization struct {
	OrganizationID string `json:"organization_id"`
	Deleted        bool   `json:"deleted"`
}

// Organizations lists organizations; of o only page and limit count.
func (c *Client) Organizations(ctx context.Context, o ListOptions) (OrganizationPage, error) {
	q := url.Values{}
	setPage(q, o.Limit, o.Cursor)
	return admin[OrganizationPage](ctx, c, http.MethodGet, "/v1/admin/organizations", q, nil)
}

// DeleteOrganization removes an organization with its keys and vector stores. An
// error with the code ORGANIZATION_NOT_FOUND says that there is none.
func (c *Client) DeleteOrganization(ctx context.Context, org string) (DeletedOrganization, error) {
	return admin[DeletedOrganization](ctx, c, http.MethodDelete, "/v1/admin/organizations/"+segment(org), nil, nil)
}
