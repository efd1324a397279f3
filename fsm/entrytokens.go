package fsm

import (
	"errors"
	"fmt"
)

// Bodies of the kinds that are about join tokens, after the 22 bytes that all
// entries share:
//
//	token create    token id (text) │ secret's SHA-256 (32) │ lifetime in seconds (4)
//	token use       token id (text) │ node id (text) │ with (32)
//	token revoke    token id (text)

func (c *TokenCreate) encode() ([]byte, error) {
	if err := errors.Join(checkName("token id", c.TokenID), checkTokenLifetime(c.LifetimeSeconds)); err != nil {
		return nil, encodeError("token create", err)
	}
	e := beginEntry(KindTokenCreate, c.RequestID, adminFieldBytes)
	e.text(c.TokenID)
	e.raw(c.SecretHash[:])
	e.u32(c.LifetimeSeconds)
	return sealEntry(e.b), nil
}

func decodeTokenCreate(d *decoder, h Header) (*TokenCreate, error) {
	c := &TokenCreate{RequestID: h.RequestID, TokenID: d.name("token id")}
	d.fill("secret hash", c.SecretHash[:])
	c.LifetimeSeconds = d.u32("lifetime")
	if d.err == nil {
		if err := checkTokenLifetime(c.LifetimeSeconds); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

func checkTokenLifetime(seconds uint32) error {
	if seconds == 0 || seconds > MaxTokenLifetimeSeconds {
		return fmt.Errorf("a token's lifetime of %d s, want 1..%d", seconds, MaxTokenLifetimeSeconds)
	}
	return nil
}

func (c *TokenUse) encode() ([]byte, error) {
	if err := errors.Join(checkName("token id", c.TokenID), checkName("node id", c.NodeID)); err != nil {
		return nil, encodeError("token use", err)
	}
	e := beginEntry(KindTokenUse, c.RequestID, adminFieldBytes)
	e.text(c.TokenID)
	e.text(c.NodeID)
	e.raw(c.With[:])
	return sealEntry(e.b), nil
}

func decodeTokenUse(d *decoder, h Header) (*TokenUse, error) {
	c := &TokenUse{RequestID: h.RequestID, TokenID: d.name("token id"), NodeID: d.name("node id")}
	d.fill("with", c.With[:])
	return c, d.done()
}

func (c *TokenRevoke) encode() ([]byte, error) {
	if err := checkName("token id", c.TokenID); err != nil {
		return nil, encodeError("token revoke", err)
	}
	e := beginEntry(KindTokenRevoke, c.RequestID, adminFieldBytes)
	e.text(c.TokenID)
	return sealEntry(e.b), nil
}

func decodeTokenRevoke(d *decoder, h Header) (*TokenRevoke, error) {
	c := &TokenRevoke{RequestID: h.RequestID, TokenID: d.name("token id")}
	return c, d.done()
}
