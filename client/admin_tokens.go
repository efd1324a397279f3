package client

import (
	"context"
	"net/http"
	"time"
)

// NewToken is a join token just made: the only time that its text is told.
type NewToken struct {
	Token            string `json:"token"`
	TokenID          string `json:"token_id"`
	ExpiresInSeconds int64  `json:"expires_in_seconds"`
}

// Token is a join token without its secret.
type Token struct {
	TokenID          string    `json:"token_id"`
	CreatedAt        time.Time `json:"created_at"`
	ExpiresInSeconds int64     `json:"expires_in_seconds"` // 0: it has expired
	UsedBy           *string   `json:"used_by"`            // the node that has joined with it; nil: none
}

// TokenPage is ordered by token id.
type TokenPage struct {
	Tokens     []Token `json:"tokens"`
	NextCursor *string `json:"next_cursor"` // nil: the last page
}

// RevokedToken confirms a revocation.
type RevokedToken struct {
	TokenID string `json:"token_id"`
	Revoked bool   `json:"revoked"`
}

// CreateToken makes a token that lets one node join the cluster, within the lifetime, in
// whole seconds, of at most an hour; 0: an hour. It is not idempotent.
func (c *Client) CreateToken(ctx context.Context, lifetime time.Duration) (NewToken, error) {
	var body struct {
		LifetimeSeconds int64 `json:"lifetime_seconds,omitempty"`
	}
	body.LifetimeSeconds = int64(lifetime / time.Second)
	return admin[NewToken](ctx, c, http.MethodPost, "/v1/admin/tokens", nil, body)
}

// Tokens lists join tokens, used ones and some of the expired ones included.
func (c *Client) Tokens(ctx context.Context, o ListOptions) (TokenPage, error) {
	return admin[TokenPage](ctx, c, http.MethodGet, "/v1/admin/tokens", o.query(), nil)
}

// RevokeToken forgets a token.
func (c *Client) RevokeToken(ctx context.Context, tokenID string) (RevokedToken, error) {
	return admin[RevokedToken](ctx, c, http.MethodDelete, "/v1/admin/tokens/"+segment(tokenID), nil, nil)
}
