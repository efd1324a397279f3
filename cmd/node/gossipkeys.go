package main

import (
	"crypto/rand"

	"pipesync/cluster"
	"pipesync/fsm"
	"pipesync/storage"
)

// gossipKeys are the cluster's, by the state. Its first is the one that this node was
// given, if any and if this node leads then.
type gossipKeys struct {
	state *fsm.FSM
	given []byte // nil: none
}

// Ring implements cluster.GossipKeys. A state that is being replaced has none for the
// moment.
func (g gossipKeys) Ring() cluster.GossipRing {
	view, err := g.state.View()
	if err != nil {
		return cluster.GossipRing{}
	}
	defer view.Close()
	ring, err := view.GossipRing()
	if err != nil || ring.Revision == 0 {
		return cluster.GossipRing{}
	}
	keys := [][]byte{ring.Keys[ring.Primary].Key[:]}
	for i := range ring.Keys {
		if i != ring.Primary {
			keys = append(keys, ring.Keys[i].Key[:])
		}
	}
	return cluster.GossipRing{Revision: ring.Revision, Keys: keys}
}

// First implements cluster.GossipKeys.
func (g gossipKeys) First() ([]byte, error) {
	view, err := g.state.View()
	if err != nil {
		return nil, err
	}
	defer view.Close()
	if !view.Admits(fsm.KindGossipKeyAdd) {
		return nil, nil
	}
	command := &fsm.GossipKeyAdd{First: true}
	if g.given != nil {
		command.Key = storage.GossipKey(g.given)
	} else {
		_, _ = rand.Read(command.Key[:]) // never fails: see crypto/rand
	}
	_, _ = rand.Read(command.RequestID[:])
	return fsm.Encode(command)
}

// Advance implements cluster.GossipKeys.
func (gossipKeys) Advance(revision uint64) ([]byte, error) {
	command := &fsm.GossipKeyAdvance{Revision: revision}
	_, _ = rand.Read(command.RequestID[:]) // never fails: see crypto/rand
	return fsm.Encode(command)
}
