package api

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"

	"pipesync/fsm"
)

// A join token's text:
//
//	jt_01jd3v0q5w8r2t4y6v8x0z2a4c.mfrggzdf….5c1f0e6a…
//	                              └─ 52 ──┘ └─ 64 ──┘
//
// jt_ and a ULID are its public id. Then come 256 random bits in base32, of which the
// SHA-256 alone is stored, and the SHA-256 of the certificate of the cluster's CA, by
// which a new node knows the cluster; while the CA is being replaced, that of the new
// one as well. The last part is missing where nodes speak plain text.
const tokenIDPrefix = "jt_"

type tokenRequest struct {
	LifetimeSeconds *int64 `json:"lifetime_seconds"` // nil: the longest
}

// tokenCreatedReply is the only place where a token's text is ever told.
type tokenCreatedReply struct {
	Token            string `json:"token"`
	TokenID          string `json:"token_id"`
	ExpiresInSeconds int64  `json:"expires_in_seconds"`
}

func (s *server) handleTokenCreate(c *call) error {
	var request tokenRequest
	if err := s.readAdminBody(c, &request); err != nil {
		return err
	}
	lifetime := int64(fsm.MaxTokenLifetimeSeconds)
	if given := request.LifetimeSeconds; given != nil {
		lifetime = *given
	}
	if lifetime < 1 || lifetime > fsm.MaxTokenLifetimeSeconds {
		return invalidParam("lifetime_seconds", fmt.Sprintf("must be from 1 to %d", fsm.MaxTokenLifetimeSeconds))
	}
	random := make([]byte, sha256.Size)
	_, _ = rand.Read(random) // never fails: it ends the process instead
	id, secret := tokenIDPrefix+mintULID(), secretEncoding.EncodeToString(random)
	c.concerns("token_id", id)
	_, err := s.commandForKey(c, &fsm.TokenCreate{
		RequestID: mintRequestID(), TokenID: id, SecretHash: sha256.Sum256([]byte(secret)), LifetimeSeconds: uint32(lifetime),
	})
	if err != nil {
		return err
	}
	text := id + "." + secret
	for _, ca := range s.Cluster.JoinCAs() {
		text += "." + ca
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.reply(http.StatusCreated, tokenCreatedReply{text, id, lifetime})
	return nil
}

// tokenReply is null in what it has no value for.
type tokenReply struct {
	TokenID          string  `json:"token_id"`
	CreatedAt        string  `json:"created_at"`
	ExpiresInSeconds int64   `json:"expires_in_seconds"` // 0: it has expired
	UsedBy           *string `json:"used_by"`
}

func (s *server) handleTokens(c *call) error {
	view, err := s.viewFor(c)
	if err != nil {
		return err
	}
	defer view.Close()
	p, err := parsePage(c.r.URL.Query(), cursorScope(view, "tokens"), 0)
	if err != nil {
		return err
	}
	found, err := view.JoinTokens(p.after, p.limit+1)
	if err != nil {
		return fmt.Errorf("listing join tokens: %w", err)
	}
	var reply struct {
		Tokens     []tokenReply `json:"tokens"`
		NextCursor *string      `json:"next_cursor"`
	}
	found, reply.NextCursor = cutPage(p, found, func(t fsm.TokenInfo) string { return t.ID })
	reply.Tokens = make([]tokenReply, len(found))
	now := view.System().ClusterTime
	for i, t := range found {
		const second = 1e9
		reply.Tokens[i] = tokenReply{t.ID, timestamp(t.CreatedAt), max(0, (t.ExpiresAt-now+second-1)/second), orNull(t.UsedBy)}
	}
	c.reply(http.StatusOK, reply)
	return nil
}

func (s *server) handleTokenRevoke(c *call) error {
	id := c.param("token")
	if !isVisibleASCII(id, len(tokenIDPrefix)+ulidChars) { // need not reach the log
		return refusal(fsm.TokenNotFound)
	}
	if _, err := s.command(c, &fsm.TokenRevoke{RequestID: mintRequestID(), TokenID: id}); err != nil {
		return err
	}
	c.reply(http.StatusOK, struct {
		TokenID string `json:"token_id"`
		Revoked bool   `json:"revoked"`
	}{id, true})
	return nil
}
