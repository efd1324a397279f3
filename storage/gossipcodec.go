package storage

import (
	"fmt"
	"io"
)

// GossipKey encrypts gossip, by AES-256. It is a secret: whatever prints one, or makes
// JSON of it, says no more than that.
type GossipKey [32]byte

const anyGossipKey = "(gossip key)"

// Format implements fmt.Formatter.
func (GossipKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, anyGossipKey) }

// MarshalText implements encoding.TextMarshaler.
func (GossipKey) MarshalText() ([]byte, error) { return []byte(anyGossipKey), nil }

// GossipKeysMax bounds the keys of a ring: the one in use, and while it is replaced the
// other.
const GossipKeysMax = 2

// GossipRing is the keys of the members' gossip. All are good to decrypt with.
type GossipRing struct {
	// Revision is one more with each change of the ring; 0: there is none yet.
	Revision uint64
	Keys     []GossipRingKey // the oldest first
	// Primary is where in Keys the one is that encrypts.
	Primary int
}

// GossipRingKey is a key of a ring.
type GossipRingKey struct {
	Key     GossipKey
	AddedAt int64 // wall time
}

//	+---------+--------------+------------+----------+
//	| version | revision u64 | primary u8 | count u8 |
//	+---------+----+---------+------------+----------+
//	| added at i64 | key 32 |   of each
//	+--------------+--------+

func (g GossipRing) encode(w *writer) {
	w.u8(rowVersion)
	w.u64(g.Revision)
	w.u8(byte(g.Primary))
	w.u8(byte(len(g.Keys)))
	for _, k := range g.Keys {
		w.i64(k.AddedAt)
		w.raw(k.Key[:])
	}
}

func (g *GossipRing) decode(r *reader) {
	r.version(rowVersion)
	g.Revision = r.u64()
	g.Primary = int(r.u8())
	n := int(r.u8())
	if r.err == nil && (n == 0 || n > GossipKeysMax || g.Primary >= n || g.Revision == 0) {
		r.fail("revision %d of %d gossip keys, the primary at %d", g.Revision, n, g.Primary)
		return
	}
	for range n {
		k := GossipRingKey{AddedAt: r.i64()}
		copy(k.Key[:], r.take(uint64(len(k.Key))))
		g.Keys = append(g.Keys, k)
	}
}
