package fsm

import (
	"errors"

	"pipesync/storage"
)

// Bodies of the kinds that are about gossip keys, after the 22 bytes that all entries
// share:
//
//	gossip key add        flags (1; 1 = first) │ key (32)
//	gossip key advance    revision (8)
const gossipFlagFirst = 1

var (
	errNoGossipKey = errors.New("the gossip key is all zeros")
	errNoRevision  = errors.New("gossip ring of revision 0")
)

func checkGossipKey(k storage.GossipKey) error {
	if k == (storage.GossipKey{}) {
		return errNoGossipKey
	}
	return nil
}

func (c *GossipKeyAdd) encode() ([]byte, error) {
	if err := checkGossipKey(c.Key); err != nil {
		return nil, encodeError("gossip key add", err)
	}
	e := beginEntry(KindGossipKeyAdd, c.RequestID, 1+len(c.Key))
	var flags byte
	if c.First {
		flags |= gossipFlagFirst
	}
	e.u8(flags)
	e.raw(c.Key[:])
	return sealEntry(e.b), nil
}

func decodeGossipKeyAdd(d *decoder, h Header) (*GossipKeyAdd, error) {
	flags := d.u8("flags")
	if flags&^gossipFlagFirst != 0 {
		d.fail("flags %#x", flags)
	}
	c := &GossipKeyAdd{RequestID: h.RequestID, First: flags&gossipFlagFirst != 0}
	d.fill("gossip key", c.Key[:])
	if d.err == nil {
		if err := checkGossipKey(c.Key); err != nil {
			d.fail("%v", err)
		}
	}
	return c, d.done()
}

func (c *GossipKeyAdvance) encode() ([]byte, error) {
	if c.Revision == 0 {
		return nil, encodeError("gossip key advance", errNoRevision)
	}
	e := beginEntry(KindGossipKeyAdvance, c.RequestID, 8)
	e.u64(c.Revision)
	return sealEntry(e.b), nil
}

func decodeGossipKeyAdvance(d *decoder, h Header) (*GossipKeyAdvance, error) {
	c := &GossipKeyAdvance{RequestID: h.RequestID, Revision: d.u64("revision")}
	if d.err == nil && c.Revision == 0 {
		d.fail("%v", errNoRevision)
	}
	return c, d.done()
}
