package fsm

import "errors"

// The body of a checkpoint's deletion, after the 22 bytes that all entries share:
//
//	┌─────┬────────┬──────────┐
//	│ org │ key id │ pipeline │
//	│text │  text  │   text   │
//	└─────┴────────┴──────────┘

func (c *CheckpointDelete) encode() ([]byte, error) {
	err := errors.Join(checkName("organization", c.Org), checkName("key id", c.KeyID), checkName("pipeline", c.Pipeline))
	if err != nil {
		return nil, encodeError("checkpoint delete", err)
	}
	e := beginEntry(KindCheckpointDelete, c.RequestID, adminFieldBytes)
	e.text(c.Org)
	e.text(c.KeyID)
	e.text(c.Pipeline)
	return sealEntry(e.b), nil
}

func decodeCheckpointDelete(d *decoder, h Header) (*CheckpointDelete, error) {
	c := &CheckpointDelete{
		RequestID: h.RequestID,
		Org:       d.name("organization"),
		KeyID:     d.name("key id"),
		Pipeline:  d.name("pipeline"),
	}
	return c, d.done()
}
