package fsm

import (
	"fmt"
	"math"

	"pipesync/storage"
)

func (c *KeyCreate) decide(tx *transaction) (*Result, error) {
	_, found, err := readKey(tx.db, c.KeyID)
	if err != nil {
		return nil, fmt.Errorf("create key: %w", err)
	}
	if found {
		return tx.done(false), nil
	}
	org, err := tx.ensureOrg(c.Org)
	if err != nil {
		return nil, fmt.Errorf("create key: %w", err)
	}
	if c.DefaultStore != "" {
		if _, err := tx.ensureStore(org, c.DefaultStore); err != nil {
			return nil, fmt.Errorf("create key: %w", err)
		}
	}
	tx.batch.PutOrgKey(org, c.KeyID)
	tx.batch.PutKey(c.KeyID, c.Row(tx.wall))
	return tx.done(true), nil
}

// Row is the key as an entry of this wall time makes it.
func (c *KeyCreate) Row(wallTime int64) storage.Key {
	return storage.Key{
		Org:             c.Org,
		Name:            c.Name,
		SecretHash:      c.SecretHash,
		DefaultStore:    c.DefaultStore,
		Scope:           storage.Scope(c.Scope),
		CreatedAt:       wallTime,
		ExpiresAt:       secondsLater(wallTime, c.LifetimeSeconds),
		LifetimeSeconds: c.LifetimeSeconds,
	}
}

// secondsLater is when a lifetime that begins at wall ends; 0, which is never,
// for a lifetime of 0 alone.
func secondsLater(wall int64, lifetimeSeconds uint32) int64 {
	if lifetimeSeconds == 0 {
		return 0
	}
	lifetime := int64(lifetimeSeconds) * nanosPerSecond
	if wall > math.MaxInt64-lifetime {
		return math.MaxInt64
	}
	return max(wall+lifetime, 1)
}

func (c *KeyRevoke) decide(tx *transaction) (*Result, error) {
	key, found, err := readKey(tx.db, c.KeyID)
	if err != nil {
		return nil, fmt.Errorf("revoke key: %w", err)
	}
	if !found {
		return tx.refuse(KeyNotFound), nil
	}
	if key.RevokedAt != 0 {
		return tx.done(false), nil
	}
	key.RevokedAt = revokedAt(tx.wall)
	tx.batch.PutKey(c.KeyID, key)
	return tx.done(false), nil
}

// revokedAt isn't 0, which would mean not revoked, whatever the leader's clock said.
func revokedAt(wall int64) int64 { return max(wall, 1) }

func (c *KeyRotate) decide(tx *transaction) (*Result, error) {
	_, made, err := readKey(tx.db, c.NewKeyID)
	if err != nil {
		return nil, fmt.Errorf("rotate key: %w", err)
	}
	if made {
		return tx.done(false), nil
	}
	old, found, err := readKey(tx.db, c.KeyID)
	if err != nil {
		return nil, fmt.Errorf("rotate key: %w", err)
	}
	if !found {
		return tx.refuse(KeyNotFound), nil
	}
	if outcome := JudgeKey(old, tx.wall); outcome != OK {
		return tx.refuse(outcome), nil
	}
	org, found, err := tx.db.Org(old.Org)
	if err == nil && !found {
		err = fmt.Errorf("%w: key %s belongs to an organization without a row", storage.ErrCorrupt, c.KeyID)
	}
	if err != nil {
		return nil, fmt.Errorf("rotate key: %w", err)
	}
	before, after := c.Rows(old, tx.wall)
	tx.batch.PutKey(c.KeyID, before)
	tx.batch.PutKey(c.NewKeyID, after)
	tx.batch.PutOrgKey(org.Num, c.NewKeyID)
	return tx.done(true), nil
}

// Rows are the old key and the new one as an entry of this wall time leaves them.
func (c *KeyRotate) Rows(key storage.Key, wallTime int64) (before, after storage.Key) {
	before, after = key, key
	before.RotatedTo = c.NewKeyID
	end := secondsLater(wallTime, c.OverlapSeconds)
	switch {
	case end == 0:
		before.RevokedAt = revokedAt(wallTime)
	case key.ExpiresAt == 0 || end < key.ExpiresAt:
		before.ExpiresAt = end
	}
	after.SecretHash = c.SecretHash
	after.CreatedAt, after.ExpiresAt = wallTime, secondsLater(wallTime, key.LifetimeSeconds)
	after.RotatedTo = ""
	return before, after
}
