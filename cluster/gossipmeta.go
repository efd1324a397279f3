package cluster

import (
	"errors"
	"fmt"
)

// gossipMeta is what each member's alive message carries:
//
//	+---------+-----+-------------+-----+-------------+-----+-----------+
//	| version | len | peer addr … | len | http addr … | len | version … |
//	+---------+-----+-------------+-----+-------------+-----+-----------+
//	     1       1                   1                   1
//
// Later versions append fields; a reader ignores what follows those it knows.
type gossipMeta struct {
	PeerAddr string
	HTTPAddr string
	Version  string // of the program
}

const (
	gossipMetaVersion = 1
	maxMetaFieldBytes = 150 // three of them fit memberlist's 512
)

var errGossipMeta = errors.New("malformed gossip meta")

func (m gossipMeta) encode() []byte {
	b := []byte{gossipMetaVersion}
	for _, field := range []string{m.PeerAddr, m.HTTPAddr, m.Version} {
		// A hint that doesn't fit is left out, never cut.
		if len(field) > maxMetaFieldBytes {
			field = ""
		}
		b = append(append(b, byte(len(field))), field...)
	}
	return b
}

func decodeGossipMeta(b []byte) (gossipMeta, error) {
	var m gossipMeta
	if len(b) == 0 || b[0] < gossipMetaVersion {
		return m, fmt.Errorf("reading gossip meta: no version: %w", errGossipMeta)
	}
	b = b[1:]
	for _, field := range []*string{&m.PeerAddr, &m.HTTPAddr, &m.Version} {
		if len(b) == 0 || int(b[0]) > len(b)-1 || b[0] > maxMetaFieldBytes {
			return gossipMeta{}, fmt.Errorf("reading gossip meta: %w", errGossipMeta)
		}
		*field = string(b[1 : 1+b[0]])
		b = b[1+b[0]:]
	}
	return m, nil
}

// NodeMeta implements memberlist.Delegate, as do the methods below, which have
// nothing to add.
func (m gossipMeta) NodeMeta(limit int) []byte {
	if b := m.encode(); len(b) <= limit {
		return b
	}
	return gossipMeta{}.encode()
}

func (gossipMeta) NotifyMsg([]byte)                {}
func (gossipMeta) GetBroadcasts(int, int) [][]byte { return nil }
func (gossipMeta) LocalState(bool) []byte          { return nil }
func (gossipMeta) MergeRemoteState([]byte, bool)   {}
