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

// SetSettings changes the settings that are named, all or none, and returns all as
// they are then. Doing it again changes nothing.
func (c *Client) SetSettings(ctx context.Context, change Figures) (Figures, error) {
	return admin[Figures](ctx, c, http.MethodPatch, "/v1/admin/settings", nil, change)
}
