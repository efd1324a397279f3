package fsm

import (
	"errors"

	"pipesync/storage"
)

// Bodies of the small kinds, after the 22 bytes that all entries share:
//
//	bootstrap     cluster id (text) │ epoch (16) │ requests per window (4) │ window ms (4) │ admin token's SHA-256 (32) │
//	              tombstone retention in seconds (4) │ idempotency retention in seconds (4) │ idempotency keys max (4)
//	key create    key id (text) │ org (text) │ name (text) │ secret's SHA-256 (32) │ default store (text, empty: none)
//	key revoke    key id (text)
//	store create  org (text) │ store (text)
const adminFieldBytes = 256

func (c *Bootstrap) encode() ([]byte, error) {
	if err := errors.Join(checkName("cluster id", c.ClusterID), checkEpoch(c.Epoch), checkSettings(c.Settings)); err != nil {
		return nil, encodeError("bootstrap", err)
	}
	e := beginEntry(KindBootstrap, c.RequestID, adminFieldBytes)
	e.text(c.ClusterID)
	e.raw(c.Epoch[:])
	e.u32(c.Settings.RequestsPerWindow)
	e.u32(c.Settings.WindowMillis)
	e.raw(c.Settings.AdminTokenHash[:])
	e.u32(c.Settings.TombstoneRetentionSeconds)
	e.u32(c.Settings.IdempotencyRetentionSeconds)
	e.u32(c.Settings.IdempotencyKeysMax)
	return sealEntry(e.b), nil
}

func decodeBootstrap(d *decoder, h Header) (*Bootstrap, error) {
	c := &Bootstrap{RequestID: h.RequestID, ClusterID: d.name("cluster id")}
	d.fill("epoch", c.Epoch[:])
	c.Settings.RequestsPerWindow = d.u32("requests per window")
	c.Settings.WindowMillis = d.u32("window")
	d.fill("admin token hash", c.Settings.AdminTokenHash[:])
	c.Settings.TombstoneRetentionSeconds = d.u32("tombstone retention")
	c.Settings.IdempotencyRetentionSeconds = d.u32("idempotency retention")
	c.Settings.IdempotencyKeysMax = d.u32("idempotency keys max")
	if d.err == nil {
		if err := errors.Join(checkEpoch(c.Epoch), checkSettings(c.Settings)); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

func checkEpoch(e storage.Epoch) error {
	if e == (storage.Epoch{}) {
		return errors.New("epoch is zero")
	}
	return nil
}

func (c *KeyCreate) encode() ([]byte, error) {
	err := errors.Join(checkName("key id", c.KeyID), checkName("organization", c.Org),
		checkOptionalName("key name", c.Name), checkOptionalName("default store", c.DefaultStore))
	if err != nil {
		return nil, encodeError("key create", err)
	}
	e := beginEntry(KindKeyCreate, c.RequestID, adminFieldBytes)
	e.text(c.KeyID)
	e.text(c.Org)
	e.text(c.Name)
	e.raw(c.SecretHash[:])
	e.text(c.DefaultStore)
	return sealEntry(e.b), nil
}

func decodeKeyCreate(d *decoder, h Header) (*KeyCreate, error) {
	c := &KeyCreate{
		RequestID: h.RequestID,
		KeyID:     d.name("key id"),
		Org:       d.name("organization"),
		Name:      d.optionalName("key name"),
	}
	d.fill("secret hash", c.SecretHash[:])
	c.DefaultStore = d.optionalName("default store")
	return c, d.done()
}

func (c *KeyRevoke) encode() ([]byte, error) {
	if err := checkName("key id", c.KeyID); err != nil {
		return nil, encodeError("key revoke", err)
	}
	e := beginEntry(KindKeyRevoke, c.RequestID, adminFieldBytes)
	e.text(c.KeyID)
	return sealEntry(e.b), nil
}

func decodeKeyRevoke(d *decoder, h Header) (*KeyRevoke, error) {
	c := &KeyRevoke{RequestID: h.RequestID, KeyID: d.name("key id")}
	return c, d.done()
}

func (c *StoreCreate) encode() ([]byte, error) {
	if err := errors.Join(checkName("organization", c.Org), checkName("store", c.Store)); err != nil {
		return nil, encodeError("store create", err)
	}
	e := beginEntry(KindStoreCreate, c.RequestID, adminFieldBytes)
	e.text(c.Org)
	e.text(c.Store)
	return sealEntry(e.b), nil
}

func decodeStoreCreate(d *decoder, h Header) (*StoreCreate, error) {
	c := &StoreCreate{RequestID: h.RequestID, Org: d.name("organization"), Store: d.name("store")}
	return c, d.done()
}
