package fsm

import (
	"math/bits"
	"slices"

	"pipesync/storage"
)

// contentOrder has operations come in their own order, with the seqs that their contents
// belong to, in whatever order they were added.
type contentOrder struct {
	added []uint64 // a bit for each operation
	seqs  []storage.Seq
}

// prepare is for so many operations of one sync.
func (c *contentOrder) prepare(operations int) {
	c.added = zeroed(c.added, (operations+63)/64)
	c.seqs = slices.Grow(c.seqs[:0], operations)[:operations]
}

func (c *contentOrder) add(op uint32, seq storage.Seq) {
	c.added[op/64] |= 1 << (op % 64)
	c.seqs[op] = seq
}

// take visits all that were added, and has none then.
func (c *contentOrder) take(visit func(op uint32, seq storage.Seq)) {
	for i := range c.added {
		for ; c.added[i] != 0; c.added[i] &= c.added[i] - 1 {
			op := uint32(i*64 + bits.TrailingZeros64(c.added[i]))
			visit(op, c.seqs[op])
		}
	}
}
