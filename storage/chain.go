package storage

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// chainOp is one logical operation of a batch, as the chain hashes it.
type chainOp byte

const (
	chainPut       chainOp = 1
	chainDelete    chainOp = 2
	chainDropRange chainOp = 3 // the key is its start, the value its end
)

// chain hashes the operations of one batch in their order. What it gives is for
// finding bugs and rot, not for those who want to deceive: 64 bits, no secret.
//
//	+-------+----------------+------------------+-------+---------+
//	| op u8 | key length u32 | value length u32 | key … | value … |   of each operation
//	+-------+----------------+------------------+-------+---------+
type chain struct {
	digest xxhash.Digest
	header [9]byte
}

func (c *chain) add(op chainOp, key, value []byte) {
	c.header[0] = byte(op)
	binary.BigEndian.PutUint32(c.header[1:], uint32(len(key)))
	binary.BigEndian.PutUint32(c.header[5:], uint32(len(value)))
	// A digest takes everything: neither of these ever fails.
	_, _ = c.digest.Write(c.header[:])
	_, _ = c.digest.Write(key)
	_, _ = c.digest.Write(value)
}
