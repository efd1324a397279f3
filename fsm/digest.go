package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"pipesync/storage"
)

// digestSum is a digest while it is being changed: the sum modulo 2^128 of one term
// for each live record of a generation, or for each part of something larger: the
// namespaces of a store, the stores of an organization, the organizations. Sums don't
// depend on order, so that a digest is kept in place without reading the other
// records or parts.
type digestSum struct {
	hi, lo uint64
	buf    []byte // of digestTerm's input, used again
}

func newDigestSum(d storage.Digest) digestSum {
	return digestSum{hi: binary.BigEndian.Uint64(d[:8]), lo: binary.BigEndian.Uint64(d[8:])}
}

func (s *digestSum) add(id string, h storage.Hash) {
	hi, lo := s.term(id, h)
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

func (s *digestSum) remove(id string, h storage.Hash) {
	hi, lo := s.term(id, h)
	var borrow uint64
	s.lo, borrow = bits.Sub64(s.lo, lo, 0)
	s.hi, _ = bits.Sub64(s.hi, hi, borrow)
}

func (s *digestSum) digest() (d storage.Digest) {
	binary.BigEndian.PutUint64(d[:8], s.hi)
	binary.BigEndian.PutUint64(d[8:], s.lo)
	return d
}

// replace has the part of that name have another digest. What has no records counts
// for nothing, as what isn't there.
func (s *digestSum) replace(name string, before, after storage.Digest) {
	if before == after {
		return
	}
	if before != (storage.Digest{}) {
		s.remove(name, storage.Hash(before))
	}
	if after != (storage.Digest{}) {
		s.add(name, storage.Hash(after))
	}
}

// term is the first 16 bytes of SHA-256(length of id, 4 bytes big-endian ‖ id ‖
// content hash, or the digest of the part), as a big-endian number.
func (s *digestSum) term(id string, h storage.Hash) (hi, lo uint64) {
	s.buf = binary.BigEndian.AppendUint32(s.buf[:0], uint32(len(id)))
	s.buf = append(s.buf, id...)
	s.buf = append(s.buf, h[:]...)
	sum := sha256.Sum256(s.buf)
	return binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])
}
