package fsm

import "errors"

// The body of a namespace's deletion, after the 22 bytes that all entries share:
//
//	┌─────┬────────┬───────┬───────────┐
//	│ org │ key id │ store │ namespace │
//	│text │  text  │ text  │   text    │
//	└─────┴────────┴───────┴───────────┘

func (c *NamespaceDelete) encode() ([]byte, error) {
	err := errors.Join(checkName("organization", c.Org), checkName("key id", c.KeyID),
		checkName("store", c.Store), checkName("namespace", c.Namespace))
	if err != nil {
		return nil, encodeError("namespace delete", err)
	}
	e := beginEntry(KindNamespaceDelete, c.RequestID, adminFieldBytes)
	e.text(c.Org)
	e.text(c.KeyID)
	e.text(c.Store)
	e.text(c.Namespace)
	return sealEntry(e.b), nil
}

func decodeNamespaceDelete(d *decoder, h Header) (*NamespaceDelete, error) {
	c := &NamespaceDelete{
		RequestID: h.RequestID,
		Org:       d.name("organization"),
		KeyID:     d.name("key id"),
		Store:     d.name("store"),
		Namespace: d.name("namespace"),
	}
	return c, d.done()
}
