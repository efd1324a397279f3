package fsm

import (
	"errors"

	"pipesync/storage"
)

// The body of a collect, after the 22 bytes that all entries share:
//
//	┌───────┬────────────┬────────┬────────┬───────────┬───────┬───────┐
//	│ store │ generation │ before │ oldest │ namespace │ after │ until │
//	│   4   │     4      │   8    │   8    │   text    │ text  │ text  │
//	└───────┴────────────┴────────┴────────┴───────────┴───────┴───────┘
//	before and oldest are cluster times; oldest 0, after and until empty: none

func (c *Collect) encode() ([]byte, error) {
	err := errors.Join(checkName("namespace", c.Namespace), checkOptionalName("after", c.After),
		checkOptionalName("until", c.Until), c.check())
	if err != nil {
		return nil, encodeError("collect", err)
	}
	e := beginEntry(KindCollect, c.RequestID, adminFieldBytes)
	e.u32(uint32(c.Store))
	e.u32(uint32(c.Generation))
	e.u64(uint64(c.Before))
	e.u64(uint64(c.Oldest))
	e.text(c.Namespace)
	e.text(c.After)
	e.text(c.Until)
	return sealEntry(e.b), nil
}

func decodeCollect(d *decoder, h Header) (*Collect, error) {
	c := &Collect{
		RequestID:  h.RequestID,
		Store:      storage.StoreNum(d.u32("store")),
		Generation: storage.Generation(d.u32("generation")),
		Before:     int64(d.u64("before")),
		Oldest:     int64(d.u64("oldest")),
		Namespace:  d.name("namespace"),
		After:      d.optionalName("after"),
		Until:      d.optionalName("until"),
	}
	if d.err == nil {
		if err := c.check(); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

func (c *Collect) check() error {
	if c.Until != "" && c.Until <= c.After {
		return errors.New("the range ends before it begins")
	}
	if c.Before < 0 || c.Oldest < 0 {
		return errors.New("a cluster time before bootstrap")
	}
	return nil
}
