package fsm

import "errors"

// The body of a mark, after the 22 bytes that all entries share:
//
//	┌───────┬──────────────────┬──────────────────┐
//	│ flags │ index of a mark  │ chain at it      │
//	│   1   │        8         │        8         │
//	└───────┴──────────────────┴──────────────────┘
//	flags: bit 0 = scrub; the others are 0. Index and chain are 0: the proposer knows no mark
const (
	markFieldBytes      = 17
	markFlagScrub  byte = 1 << 0
)

func (m *Mark) encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, encodeError("mark", err)
	}
	e := beginEntry(KindMark, m.RequestID, markFieldBytes)
	var flags byte
	if m.Scrub {
		flags |= markFlagScrub
	}
	e.u8(flags)
	e.u64(m.Previous.Index)
	e.u64(m.Previous.Chain)
	return sealEntry(e.b), nil
}

func decodeMark(d *decoder, h Header) (*Mark, error) {
	m := &Mark{RequestID: h.RequestID}
	flags := d.u8("flags")
	if flags&^markFlagScrub != 0 {
		d.fail("flags %#x", flags)
	}
	m.Scrub = flags&markFlagScrub != 0
	m.Previous.Index = d.u64("index of the mark before")
	m.Previous.Chain = d.u64("chain at the mark before")
	if d.err == nil {
		if err := m.check(); err != nil {
			d.fail("%v", err)
		}
	}
	return m, d.done()
}

func (m *Mark) check() error {
	if m.Previous.Index == 0 && m.Previous.Chain != 0 {
		return errors.New("a chain at no mark")
	}
	return nil
}
