package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// AdminTokenChange says which admin token a cluster has.
type AdminTokenChange struct {
	Fingerprint string `json:"fingerprint"` // the first eight digits of its SHA-256
	Changes     uint64 `json:"changes"`     // how often it has been changed
}

// RotateAdminToken makes token, at least 16 characters, the only admin token of the
// cluster. It isn't sent: its hash is. This client goes on with the one that it has:
// see WithAdminToken.
func (c *Client) RotateAdminToken(ctx context.Context, token string) (AdminTokenChange, error) {
	hash := sha256.Sum256([]byte(token))
	body := struct {
		SHA256 string `json:"sha256"`
	}{hex.EncodeToString(hash[:])}
	return admin[AdminTokenChange](ctx, c, http.MethodPost, "/v1/admin/admin-token/rotate", nil, body)
}

// WithAdminToken is a client that shares c's connections and has another admin token.
func (c *Client) WithAdminToken(token string) *Client {
	return &Client{addrs: c.addrs, apiKey: c.apiKey, adminToken: token, timeout: c.timeout, http: c.http}
}
