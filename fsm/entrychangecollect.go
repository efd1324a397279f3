package fsm

import (
	"errors"

	"pipesync/storage"
)

// The body of a change collect, after the 22 bytes that all entries share:
//
//	┌───────┬──────────────────┬──────────────────┐
//	│ store │ after            │ until            │
//	│   4   │ index 8 offset 4 │ index 8 offset 4 │
//	└───────┴──────────────────┴──────────────────┘

const changeCollectBytes = 28

func (c *ChangeCollect) encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, encodeError("change collect", err)
	}
	e := beginEntry(KindChangeCollect, c.RequestID, changeCollectBytes)
	e.u32(uint32(c.Store))
	e.seq(c.After)
	e.seq(c.Until)
	return sealEntry(e.b), nil
}

func decodeChangeCollect(d *decoder, h Header) (*ChangeCollect, error) {
	c := &ChangeCollect{
		RequestID: h.RequestID,
		Store:     storage.StoreNum(d.u32("store")),
		After:     d.seq("after"),
		Until:     d.seq("until"),
	}
	if d.err == nil {
		if err := c.check(); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

func (c *ChangeCollect) check() error {
	if c.Until.Compare(c.After) <= 0 {
		return errors.New("the range ends before it begins")
	}
	return nil
}
