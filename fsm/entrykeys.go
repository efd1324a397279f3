package fsm

import (
	"errors"
	"fmt"
)

// Bodies of the kinds that are about API keys, after the 22 bytes that all
// entries share:
//
//	key create    key id (text) │ org (text) │ name (text) │ secret's SHA-256 (32) │ default store (text, empty: none) │
//	              lifetime in seconds (4) │ actions (1) │ stores: count (uvarint), each a text │ namespaces: likewise
//	key revoke    key id (text)
//	key rotate    key id (text) │ new key id (text) │ new secret's SHA-256 (32) │ overlap in seconds (4)

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

func (c *KeyRotate) encode() ([]byte, error) {
	if err := errors.Join(checkName("key id", c.KeyID), checkName("new key id", c.NewKeyID)); err != nil {
		return nil, encodeError("key rotate", err)
	}
	e := beginEntry(KindKeyRotate, c.RequestID, adminFieldBytes)
	e.text(c.KeyID)
	e.text(c.NewKeyID)
	e.raw(c.SecretHash[:])
	e.u32(c.OverlapSeconds)
	return sealEntry(e.b), nil
}

func decodeKeyRotate(d *decoder, h Header) (*KeyRotate, error) {
	c := &KeyRotate{RequestID: h.RequestID, KeyID: d.name("key id"), NewKeyID: d.name("new key id")}
	d.fill("secret hash", c.SecretHash[:])
	c.OverlapSeconds = d.u32("overlap")
	return c, d.done()
}
