package client

import (
	"context"
	"net/http"
)

// Figures are numbers by the names that the API gives them, such as
// requests_per_window.
type Figures map[string]uint64

// Settings returns the settings of the whole cluster.
func (c *Client) Settings(ctx context.Context) (Figures, error) {
	return admin[Figures](ctx, c, http.MethodGet, "/v1/admin/settings", nil, nil)
}

// Limits are those of one organization.
type Limits struct {
	OrganizationID string  `json:"organization_id"`
	Limits         Figures `json:"limits"`    // its own; 0: none
	Effective      Figures `json:"effective"` // those that hold: its own, else those of the settings
	Usage          Usage   `json:"usage"`
}

// Usage is what a vector store, an organization or the whole cluster has.
type Usage struct {
	Records    uint64 `json:"records"`
	Bytes      uint64 `json:"bytes"`      // of the records' ids and fields, as they were sent
	Tombstones uint64 `json:"tombstones"` // deletions that are still remembered
	Namespaces uint64 `json:"namespaces"`
	Digest     string `json:"digest"` // hex; equal digests mean equal names and content
}

// Limits returns an organization's limits.
func (c *Client) Limits(ctx context.Context, org string) (Limits, error) {
	return admin[Limits](ctx, c, http.MethodGet, "/v1/admin/limits/"+segment(org), nil, nil)
}

// SetLimits sets the limits of an organization that are named, 0 to what the settings
// say, and returns all as they are then. It makes an organization that is missing.
// Doing it again changes nothing.
func (c *Client) SetLimits(ctx context.Context, org string, change Figures) (Limits, error) {
	return admin[Limits](ctx, c, http.MethodPatch, "/v1/admin/limits/"+segment(org), nil, change)
}

// SetSettings changes the settings that are named, all or none, and returns all as
// they are then. Doing it again changes nothing.
func (c *Client) SetSettings(ctx context.Context, change Figures) (Figures, error) {
	return admin[Figures](ctx, c, http.MethodPatch, "/v1/admin/settings", nil, change)
}
