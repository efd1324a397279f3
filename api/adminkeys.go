package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"pipesync/api/syncjson"
	"pipesync/cluster"
	"pipesync/fsm"
)

// maxKeySeconds is how long a key may be made for: 100 years.
const maxKeySeconds = 100 * 365 * 24 * 60 * 60

type keyRequest struct {
	OrganizationID string `json:"organization_id"`
	Name           string `json:"name"`
	VectorStoreID  string `json:"vector_store_id"`
	scopeFields
	ExpiresInSeconds *int64 `json:"expires_in_seconds"`
}

// command is the command that makes the key, but for what the server mints.
func (r *keyRequest) command() (*fsm.KeyCreate, error) {
	var rules fieldRules
	rules.name(paramOrganizationID, r.OrganizationID, organizationPrefix, true)
	rules.name(paramVectorStoreID, r.VectorStoreID, vectorStorePrefix, false)
	rules.text("name", r.Name, maxKeyNameChars)
	scope := r.scope(&rules)
	if r.VectorStoreID != "" && !scope.AllowsStore(r.VectorStoreID) {
		rules.add(paramVectorStoreID, syncjson.InvalidValue, "must be one of vector_store_ids, to which the key is limited")
	}
	lifetime := rules.seconds("expires_in_seconds", r.ExpiresInSeconds, 1, maxKeySeconds)
	return &fsm.KeyCreate{
		Org: r.OrganizationID, Name: r.Name, DefaultStore: r.VectorStoreID, Scope: scope, LifetimeSeconds: lifetime,
	}, rules.err()
}

// keyFields are what is told of a key in every reply.
type keyFields struct {
	KeyID          string  `json:"key_id"`
	OrganizationID string  `json:"organization_id"`
	VectorStoreID  *string `json:"vector_store_id"`
	Name           string  `json:"name"`
	scopeFields
	CreatedAt string  `json:"created_at"`
	ExpiresAt *string `json:"expires_at"`
}

type keyReply struct {
	keyFields
	RevokedAt *string `json:"revoked_at"`
	RotatedTo *string `json:"rotated_to"`
}

func newKeyReply(k fsm.KeyInfo) keyReply {
	return keyReply{newKeyFields(k), timeOrNull(k.RevokedAt), orNull(k.RotatedTo)}
}

func newKeyFields(k fsm.KeyInfo) keyFields {
	return keyFields{
		KeyID: k.ID, OrganizationID: k.Org, VectorStoreID: orNull(k.DefaultStore), Name: k.Name,
		scopeFields: newScopeFields(fsm.Scope(k.Scope)), CreatedAt: timestamp(k.CreatedAt), ExpiresAt: timeOrNull(k.ExpiresAt),
	}
}

// timeOrNull is null for a moment that never comes, or hasn't come.
func timeOrNull(nanos int64) *string {
	if nanos == 0 {
		return nil
	}
	return orNull(timestamp(nanos))
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// keyCreatedReply is the only place where a secret is ever told.
type keyCreatedReply struct {
	Key string `json:"key"`
	keyFields
}

func (s *server) handleKeyCreate(c *call) error {
	var request keyRequest
	if err := s.readAdminBody(c, &request); err != nil {
		return err
	}
	command, err := request.command()
	if err != nil {
		return err
	}
	var text string
	text, command.KeyID, command.SecretHash = mintKey()
	command.RequestID = mintRequestID()
	c.concerns("key_id", command.KeyID)
	c.concerns(paramOrganizationID, command.Org)
	c.concerns(paramVectorStoreID, command.DefaultStore)
	result, err := s.commandForKey(c, command)
	if err != nil {
		return err
	}
	made := fsm.KeyInfo{ID: command.KeyID, Key: command.Row(s.Now().UnixNano())}
	s.readBack(c, result.Index, &made)
	c.w.Header().Set("Cache-Control", "no-store")
	c.reply(http.StatusCreated, keyCreatedReply{text, newKeyFields(made)})
	return nil
}

// commandForKey is command where that makes a key.
func (s *server) commandForKey(c *call, cmd fsm.Command) (*fsm.Result, error) {
	result, err := s.command(c, cmd)
	if errors.Is(err, cluster.ErrOutcomeUnknown) {
		f := asFailure(err)
		f.unsafeRetry = true // would make a second key
		return nil, f
	}
	return result, err
}

// readBack reads keys as the entry at index left them, with its times. The entry
// is committed: if they can't be read in time, they stay as they are, since the
// reply, which alone has the secret, must not be lost for that.
func (s *server) readBack(c *call, index uint64, keys ...*fsm.KeyInfo) {
	ctx, cancel := c.within(s.Limits.ReadTimeout)
	defer cancel()
	if s.State.WaitApplied(ctx, index) != nil {
		return
	}
	_, _ = s.inView(func(v *fsm.View) (bool, error) {
		for _, k := range keys {
			if key, ok, err := v.Key(k.ID); ok && err == nil {
				k.Key = key
			}
		}
		return true, nil
	})
}

// keyIDParam is the key id of the path. What can't be one need not reach the log.
func keyIDParam(c *call) (string, error) {
	keyID := c.param("key")
	if !strings.HasPrefix(keyID, keyIDPrefix) || !isVisibleASCII(keyID, len(keyIDPrefix)+ulidChars) {
		return "", noSuchKey()
	}
	return keyID, nil
}

func noSuchKey() *failure { return fail(codeKeyNotFound, "there is no key with this id") }

func (s *server) handleKeyRevoke(c *call) error {
	keyID, err := keyIDParam(c)
	if err != nil {
		return err
	}
	result, err := s.command(c, &fsm.KeyRevoke{RequestID: mintRequestID(), KeyID: keyID})
	if err != nil {
		return err
	}
	c.reply(http.StatusOK, struct {
		KeyID   string `json:"key_id"`
		Revoked bool   `json:"revoked"`
		Index   uint64 `json:"index"`
	}{keyID, true, result.Index})
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
