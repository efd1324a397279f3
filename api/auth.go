package api

import (
	"context"
	"crypto/subtle"

	"pipesync/fsm"
)

// authenticate finds out whom the request's API key speaks for. For a write it
// is a first check that the log repeats: a key revoked on the way is refused
// there.
func (s *server) authenticate(c *call) (caller, error) {
	text := c.r.Header.Get("X-API-Key")
	if text == "" {
		return caller{}, fail(codeMissingAPIKey, "the X-API-Key header is missing")
	}
	keyID, secretHash, ok := parseKey(text)
	if !ok {
		return caller{}, fail(codeInvalidAPIKey, "the API key is malformed")
	}
	c.actor = "key:" + keyID
	ctx, cancel := c.within(s.Limits.ReadTimeout)
	defer cancel()
	who := caller{keyID: keyID}
	var refused *failure
	found, err := s.lookup(ctx, "key\x00"+keyID, func() (bool, error) {
		key, ok, err := s.State.Key(keyID)
		if err != nil || !ok {
			return false, err
		}
		who.org, who.defaultStore, who.scope = key.Org, key.DefaultStore, fsm.Scope(key.Scope)
		if subtle.ConstantTimeCompare(key.SecretHash[:], secretHash[:]) != 1 {
			refused = refusal(fsm.KeyNotFound) // as if unknown: the id alone is no secret
		} else if outcome := fsm.JudgeKey(key, s.Now().UnixNano()); outcome != fsm.OK {
			refused = refusal(outcome)
		}
		return true, nil
	})
	switch {
	case err != nil:
		return caller{}, err
	case !found:
		return caller{}, refusal(fsm.KeyNotFound)
	case refused != nil:
		return caller{}, refused
	}
	return who, nil
}

// stillValid repeats the check of a key against the view that a read is served
// from: a linearizable read sees a revocation acknowledged before it.
func (s *server) stillValid(v *fsm.View, keyID string) error {
	key, ok, err := v.Key(keyID)
	if err != nil {
		return err
	}
	if !ok {
		return refusal(fsm.KeyNotFound)
	}
	if outcome := fsm.JudgeKey(key, s.Now().UnixNano()); outcome != fsm.OK {
		return refusal(outcome)
	}
	return nil
}

// storeExists says whether the caller's organization has the vector store.
func (s *server) storeExists(ctx context.Context, org, store string) (bool, error) {
	return s.lookup(ctx, "store\x00"+org+"\x00"+store, func() (bool, error) {
		_, ok, err := s.State.Store(org, store)
		return ok, err
	})
}
