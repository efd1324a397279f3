package client

import (
	"context"
	"net/http"
	"time"
)

// GossipKeys is the cluster's ring of gossip keys, without the keys.
type GossipKeys struct {
	Revision uint64      `json:"revision"` // 0: there is none yet
	Rotating bool        `json:"rotating"`
	Keys     []GossipKey `json:"keys"` // the oldest first
	// WaitingFor are members that don't hold the ring as it is, or of which the node that
	// was asked doesn't know. Dead are those of them that nobody waits for.
	WaitingFor []string `json:"waiting_for"`
	Dead       []string `json:"dead"`
}

// GossipKey is a key by its fingerprint.
type GossipKey struct {
	Fingerprint string    `json:"fingerprint"`
	Primary     bool      `json:"primary"`
	AddedAt     time.Time `json:"added_at"`
	HeldBy      []string  `json:"held_by"` // ids of members
	UsedBy      []string  `json:"used_by"` // of those that encrypt with it
}

// GossipKeys tells which gossip keys the cluster has, and which member which.
func (c *Client) GossipKeys(ctx context.Context) (GossipKeys, error) {
	return admin[GossipKeys](ctx, c, http.MethodGet, "/v1/admin/gossip-keys", nil, nil)
}

// RotateGossipKey begins to replace the gossip key by a new one, the last of those that
// it returns. It is not idempotent.
func (c *Client) RotateGossipKey(ctx context.Context) (GossipKeys, error) {
	return admin[GossipKeys](ctx, c, http.MethodPost, "/v1/admin/gossip-keys/rotate", nil, nil)
}
