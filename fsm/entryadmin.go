package fsm

import (
	"errors"

	"pipesync/storage"
)

// Bodies of the small kinds, after the 22 bytes that all entries share:
//
//	bootstrap     cluster id (text) │ epoch (16) │ admin token's SHA-256 (32) │ settings (figures)
//	settings set  figures
//	limits set    org (text) │ figures
//	store create  org (text) │ store (text)
//	store delete  org (text) │ store (text)
//	org delete    org (text)
//	purge         org (4)
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

func (c *OrgDelete) encode() ([]byte, error) {
	if err := checkName("organization", c.Org); err != nil {
		return nil, encodeError("organization delete", err)
	}
	e := beginEntry(KindOrgDelete, c.RequestID, adminFieldBytes)
	e.text(c.Org)
	return sealEntry(e.b), nil
}

func decodeOrgDelete(d *decoder, h Header) (*OrgDelete, error) {
	c := &OrgDelete{RequestID: h.RequestID, Org: d.name("organization")}
	return c, d.done()
}

func (c *Purge) encode() ([]byte, error) {
	e := beginEntry(KindPurge, c.RequestID, adminFieldBytes)
	e.u32(uint32(c.Org))
	return sealEntry(e.b), nil
}

func decodePurge(d *decoder, h Header) (*Purge, error) {
	c := &Purge{RequestID: h.RequestID, Org: storage.OrgNum(d.u32("organization"))}
	return c, d.done()
}
