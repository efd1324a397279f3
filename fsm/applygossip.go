package fsm

import (
	"fmt"
	"slices"

	"pipesync/storage"
)

// A rotation of the gossip key goes through three rings, each of which decrypts what
// members send that have only the one before yet:
//
//	[old*]  ──▶  [old*, new]  ──▶  [old, new*]  ──▶  [new*]        * encrypts
//
// Its phase is the ring itself, so that any leader can go on with it.

// rotating says whether a ring is between two keys.
func rotating(ring storage.GossipRing) bool { return len(ring.Keys) > 1 }

// decide makes the key the cluster's first, or begins a rotation to it.
func (c *GossipKeyAdd) decide(tx *transaction) (*Result, error) {
	ring, err := tx.db.GossipRing()
	if err != nil {
		return nil, fmt.Errorf("add gossip key: %w", err)
	}
	switch there := ring.Revision > 0; {
	case c.First && there:
		return tx.done(false), nil
	case !c.First && !there:
		return tx.refuse(NoGossipKeys), nil
	case slices.ContainsFunc(ring.Keys, func(k storage.GossipRingKey) bool { return k.Key == c.Key }):
		return tx.done(false), nil // it was proposed again
	case rotating(ring):
		return tx.refuse(GossipKeyRotating), nil
	}
	ring.Revision++
	ring.Keys = append(ring.Keys, storage.GossipRingKey{Key: c.Key, AddedAt: tx.wall})
	tx.batch.PutGossipRing(ring)
	return tx.done(true), nil
}

// decide goes on with a rotation, unless somebody has by now.
func (c *GossipKeyAdvance) decide(tx *transaction) (*Result, error) {
	ring, err := tx.db.GossipRing()
	if err != nil {
		return nil, fmt.Errorf("advance the rotation of the gossip key: %w", err)
	}
	if ring.Revision != c.Revision || !rotating(ring) {
		return tx.done(false), nil
	}
	if newest := len(ring.Keys) - 1; ring.Primary != newest {
		ring.Primary = newest
	} else {
		ring.Keys, ring.Primary = ring.Keys[newest:], 0
	}
	ring.Revision++
	tx.batch.PutGossipRing(ring)
	return tx.done(true), nil
}
