package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pipesync/cluster"
	"pipesync/fsm"
)

type keyRequest struct {
	OrganizationID string `json:"organization_id"`
	Name           string `json:"name"`
	VectorStoreID  string `json:"vector_store_id"`
}

type keyReply struct {
	KeyID          string  `json:"key_id"`
	OrganizationID string  `json:"organization_id"`
	VectorStoreID  *string `json:"vector_store_id"`
	Name           string  `json:"name"`
	CreatedAt      string  `json:"created_at"`
	RevokedAt      *string `json:"revoked_at"`
}

func newKeyReply(k fsm.KeyInfo) keyReply {
	reply := keyReply{
		KeyID: k.ID, OrganizationID: k.Org, VectorStoreID: orNull(k.DefaultStore),
		Name: k.Name, CreatedAt: timestamp(k.CreatedAt),
	}
	if k.RevokedAt != 0 {
		reply.RevokedAt = orNull(timestamp(k.RevokedAt))
	}
	return reply
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// keyCreatedReply is the only place where a secret is ever told.
type keyCreatedReply struct {
	Key            string  `json:"key"`
	KeyID          string  `json:"key_id"`
	OrganizationID string  `json:"organization_id"`
	VectorStoreID  *string `json:"vector_store_id"`
	Name           string  `json:"name"`
	CreatedAt      string  `json:"created_at"`
}

func (s *server) handleKeyCreate(c *call) error {
	var request keyRequest
	if err := s.readAdminBody(c, &request); err != nil {
		return err
	}
	var rules fieldRules
	rules.name(paramOrganizationID, request.OrganizationID, organizationPrefix, true)
	rules.name(paramVectorStoreID, request.VectorStoreID, vectorStorePrefix, false)
	rules.text("name", request.Name, maxKeyNameChars)
	if err := rules.err(); err != nil {
		return err
	}
	text, keyID, secretHash := mintKey()
	result, err := s.command(c, &fsm.KeyCreate{
		RequestID: mintRequestID(), KeyID: keyID, Org: request.OrganizationID, Name: request.Name,
		SecretHash: secretHash, DefaultStore: request.VectorStoreID,
	})
	if errors.Is(err, cluster.ErrOutcomeUnknown) {
		f := asFailure(err)
		f.unsafeRetry = true // would make a second key
		return f
	}
	if err != nil {
		return err
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.reply(http.StatusCreated, keyCreatedReply{
		Key: text, KeyID: keyID, OrganizationID: request.OrganizationID,
		VectorStoreID: orNull(request.VectorStoreID), Name: request.Name,
		CreatedAt: s.createdAt(c, keyID, result.Index),
	})
	return nil
}

// createdAt reads back when a key was created, which is the entry's time. The
// key exists: if it can't be read back in time, the reply, which alone has the
// secret, must not be lost for that.
func (s *server) createdAt(c *call, keyID string, index uint64) string {
	ctx, cancel := c.within(s.Limits.ReadTimeout)
	defer cancel()
	created := time.Now().UnixNano()
	if s.State.WaitApplied(ctx, index) == nil {
		_, _ = s.inView(func(v *fsm.View) (bool, error) {
			key, ok, err := v.Key(keyID)
			if ok && err == nil {
				created = key.CreatedAt
			}
			return ok, err
		})
	}
	return timestamp(created)
}

func (s *server) handleKeyRevoke(c *call) error {
	keyID := c.param("key")
	// What can't be a key's id need not reach the log.
	if !strings.HasPrefix(keyID, keyIDPrefix) || !isVisibleASCII(keyID, len(keyIDPrefix)+ulidChars) {
		return fail(codeKeyNotFound, "there is no key with this id")
	}
	if _, err := s.command(c, &fsm.KeyRevoke{RequestID: mintRequestID(), KeyID: keyID}); err != nil {
		return err
	}
	c.reply(http.StatusOK, struct {
		KeyID   string `json:"key_id"`
		Revoked bool   `json:"revoked"`
	}{keyID, true})
	return nil
}

func (s *server) handleKeys(c *call) error {
	return s.readOrgList(c, "keys", func(view *fsm.View, p page, org string) error {
		found, err := listKeys(view, org, p.after, p.limit+1)
		if err != nil {
			return fmt.Errorf("listing keys: %w", err)
		}
		var reply struct {
			Keys       []keyReply `json:"keys"`
			NextCursor *string    `json:"next_cursor"`
		}
		found, reply.NextCursor = cutPage(p, found, func(k fsm.KeyInfo) string { return k.ID })
		for _, k := range found {
			reply.Keys = append(reply.Keys, newKeyReply(k))
		}
		c.reply(http.StatusOK, reply)
		return nil
	})
}

// listKeys lists the keys of one organization, or of all, by key id.
func listKeys(v *fsm.View, org, after string, limit int) ([]fsm.KeyInfo, error) {
	if org == "" {
		return v.Keys(after, limit)
	}
	return v.OrgKeys(org, after, limit)
}

// readOrgList gives list the view, the page and the organization that an admin
// list is asked for; cursors are bound to the list's name and the organization.
func (s *server) readOrgList(c *call, name string, list func(view *fsm.View, p page, org string) error) error {
	org, err := orgFilter(c)
	if err != nil {
		return err
	}
	view, err := s.viewFor(c)
	if err != nil {
		return err
	}
	defer view.Close()
	p, err := parsePage(c.r.URL.Query(), cursorScope(view, name, org), 0)
	if err != nil {
		return err
	}
	return list(view, p, org)
}

// orgFilter is the organization that an admin list is restricted to, or "".
func orgFilter(c *call) (string, error) {
	org := c.r.URL.Query().Get(paramOrganizationID)
	var rules fieldRules
	rules.name(paramOrganizationID, org, organizationPrefix, false)
	return org, rules.err()
}
