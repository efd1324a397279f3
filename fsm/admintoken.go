package fsm

import (
	"errors"
	"fmt"

	"pipesync/storage"
)

// The body of an admin token set, after the 22 bytes that all entries share:
//
//	┌──────────────────┐
//	│ token's SHA-256  │
//	│        32        │
//	└──────────────────┘

var errNoTokenHash = errors.New("the hash of the admin token is all zeros")

func (c *AdminTokenSet) encode() ([]byte, error) {
	if c.Hash == ([32]byte{}) {
		return nil, encodeError("admin token set", errNoTokenHash)
	}
	e := beginEntry(KindAdminTokenSet, c.RequestID, len(c.Hash))
	e.raw(c.Hash[:])
	return sealEntry(e.b), nil
}

func decodeAdminTokenSet(d *decoder, h Header) (*AdminTokenSet, error) {
	c := &AdminTokenSet{RequestID: h.RequestID}
	d.fill("admin token hash", c.Hash[:])
	if d.err == nil && c.Hash == ([32]byte{}) {
		d.fail("%v", errNoTokenHash)
	}
	return c, d.done()
}

// decide puts the hash into the settings, and counts the change: from the first on
// nodes have no tokens of their own.
func (c *AdminTokenSet) decide(tx *transaction) (*Result, error) {
	set, found, err := tx.db.Settings()
	if err == nil && !found {
		err = fmt.Errorf("%w: no settings", storage.ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("set the admin token: %w", err)
	}
	if set.AdminTokenHash == c.Hash {
		return tx.done(false), nil
	}
	change, err := tx.db.AdminTokenChange()
	if err != nil {
		return nil, fmt.Errorf("set the admin token: %w", err)
	}
	set.AdminTokenHash = c.Hash
	tx.batch.PutSettings(set)
	tx.batch.PutAdminTokenChange(storage.AdminTokenChange{Changes: change.Changes + 1, ChangedAt: tx.wall})
	return tx.done(true), nil
}
