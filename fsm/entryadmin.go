package fsm

import (
	"errors"
	"fmt"

	"pipesync/storage"
)

// Bodies of the small kinds, after the 22 bytes that all entries share:
//
//	bootstrap     cluster id (text) │ epoch (16) │ admin token's SHA-256 (32) │ settings (figures)
//	settings set  figures
//	limits set    org (text) │ figures
//	key create    key id (text) │ org (text) │ name (text) │ secret's SHA-256 (32) │ default store (text, empty: none) │
//	              lifetime in seconds (4) │ actions (1) │ stores: count (uvarint), each a text │ namespaces: likewise
//	key revoke    key id (text)
//	store create  org (text) │ store (text)
//	store delete  org (text) │ store (text)
//
// Figures are a count (1), and for each its number (1) and value (uvarint).
const adminFieldBytes = 256

func (c *Bootstrap) encode() ([]byte, error) {
	if err := errors.Join(checkName("cluster id", c.ClusterID), checkEpoch(c.Epoch), checkSettings(c.Settings)); err != nil {
		return nil, encodeError("bootstrap", err)
	}
	e := beginEntry(KindBootstrap, c.RequestID, adminFieldBytes)
	e.text(c.ClusterID)
	e.raw(c.Epoch[:])
	e.raw(c.Settings.AdminTokenHash[:])
	e.figures(SettingsFigures.all(c.Settings))
	return sealEntry(e.b), nil
}

func decodeBootstrap(d *decoder, h Header) (*Bootstrap, error) {
	c := &Bootstrap{RequestID: h.RequestID, ClusterID: d.name("cluster id")}
	d.fill("epoch", c.Epoch[:])
	d.fill("admin token hash", c.Settings.AdminTokenHash[:])
	SettingsFigures.change(&c.Settings, SettingsFigures.decode(d))
	if d.err == nil {
		if err := errors.Join(checkEpoch(c.Epoch), checkSettings(c.Settings)); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

// checkSettings refuses a figure out of its range, and with it one that was
// forgotten.
func checkSettings(s storage.Settings) error { return SettingsFigures.check(SettingsFigures.all(s)) }

func (c *SettingsSet) encode() ([]byte, error) {
	if err := SettingsFigures.check(c.Figures); err != nil {
		return nil, encodeError("settings set", err)
	}
	e := beginEntry(KindSettingsSet, c.RequestID, adminFieldBytes)
	e.figures(c.Figures)
	return sealEntry(e.b), nil
}

func decodeSettingsSet(d *decoder, h Header) (*SettingsSet, error) {
	c := &SettingsSet{RequestID: h.RequestID, Figures: SettingsFigures.decode(d)}
	return c, d.done()
}

func (c *LimitsSet) encode() ([]byte, error) {
	if err := errors.Join(checkName("organization", c.Org), LimitsFigures.check(c.Figures)); err != nil {
		return nil, encodeError("limits set", err)
	}
	e := beginEntry(KindLimitsSet, c.RequestID, adminFieldBytes)
	e.text(c.Org)
	e.figures(c.Figures)
	return sealEntry(e.b), nil
}

func decodeLimitsSet(d *decoder, h Header) (*LimitsSet, error) {
	c := &LimitsSet{RequestID: h.RequestID, Org: d.name("organization"), Figures: LimitsFigures.decode(d)}
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
		checkOptionalName("key name", c.Name), checkOptionalName("default store", c.DefaultStore), checkScope(c.Scope))
	if err != nil {
		return nil, encodeError("key create", err)
	}
	e := beginEntry(KindKeyCreate, c.RequestID, adminFieldBytes)
	e.text(c.KeyID)
	e.text(c.Org)
	e.text(c.Name)
	e.raw(c.SecretHash[:])
	e.text(c.DefaultStore)
	e.u32(c.LifetimeSeconds)
	e.u8(byte(c.Scope.Actions))
	e.texts(c.Scope.Stores)
	e.texts(c.Scope.Namespaces)
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
	c.LifetimeSeconds = d.u32("lifetime")
	c.Scope.Actions = KeyActions(d.u8("actions"))
	c.Scope.Stores = d.names("store of the scope", MaxScopeNames)
	c.Scope.Namespaces = d.names("namespace of the scope", MaxScopeNames)
	if d.err == nil {
		if err := checkScope(c.Scope); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

func checkScope(s Scope) error {
	if s.Actions&^allKeyActions != 0 {
		return fmt.Errorf("actions %#x", s.Actions)
	}
	return errors.Join(checkNames("store", s.Stores), checkNames("namespace", s.Namespaces))
}

func checkNames(what string, names []string) error {
	if len(names) > MaxScopeNames {
		return fmt.Errorf("a scope of %d %ss, at most %d", len(names), what, MaxScopeNames)
	}
	for _, name := range names {
		if err := checkName("a scope's "+what, name); err != nil {
			return err
		}
	}
	return nil
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

func (c *StoreDelete) encode() ([]byte, error) {
	if err := errors.Join(checkName("organization", c.Org), checkName("store", c.Store)); err != nil {
		return nil, encodeError("store delete", err)
	}
	e := beginEntry(KindStoreDelete, c.RequestID, adminFieldBytes)
	e.text(c.Org)
	e.text(c.Store)
	return sealEntry(e.b), nil
}

func decodeStoreDelete(d *decoder, h Header) (*StoreDelete, error) {
	c := &StoreDelete{RequestID: h.RequestID, Org: d.name("organization"), Store: d.name("store")}
	return c, d.done()
}
