package client

import (
	"context"
	"net/http"
)

// Live returns nil if the process answers at all.
func (c *Client) Live(ctx context.Context) error { return c.probe(ctx, "/livez") }

// Ready returns nil if syncs and reads work on the node.
func (c *Client) Ready(ctx context.Context) error { return c.probe(ctx, "/readyz") }

func (c *Client) probe(ctx context.Context, path string) error {
	_, err := c.do(ctx, call{method: http.MethodGet, path: path})
	return err
}
