package fsm

import (
	"errors"

	"pipesync/storage"
)

// The body of a reconcile, after the 22 bytes that all entries share:
//
//	┌───────┬────────────┬───────────┐
//	│ store │ generation │ namespace │
//	│   4   │     4      │   text    │
//	└───────┴────────────┴───────────┘

func (c *Reconcile) encode() ([]byte, error) {
	if err := errors.Join(checkName("namespace", c.Namespace), c.check()); err != nil {
		return nil, encodeError("reconcile", err)
	}
	e := beginEntry(KindReconcile, c.RequestID, adminFieldBytes)
	e.u32(uint32(c.Store))
	e.u32(uint32(c.Generation))
	e.text(c.Namespace)
	return sealEntry(e.b), nil
}

func decodeReconcile(d *decoder, h Header) (*Reconcile, error) {
	c := &Reconcile{
		RequestID:  h.RequestID,
		Store:      storage.StoreNum(d.u32("store")),
		Generation: storage.Generation(d.u32("generation")),
		Namespace:  d.name("namespace"),
	}
	if d.err == nil {
		if err := c.check(); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

// check refuses numbers that nothing has.
func (c *Reconcile) check() error {
	if c.Store == 0 || c.Generation == 0 {
		return errors.New("store or generation 0")
	}
	return nil
}
