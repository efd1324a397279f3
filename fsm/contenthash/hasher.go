package contenthash

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"pipesync/storage"
)

// version is the first byte of what is hashed. A changed canonical form is a
// new version: hashes of different versions are never equal, so every record
// would count as changed once.
const version byte = 1

// What is hashed, version 1:
//
//	+---------+--------------+--------------+--------------+
//	| version | field: data  | field: source| field: file  |
//	| 0x01    | canonical    | as decoded   | canonical    |
//	+---------+--------------+--------------+--------------+
//
//	field, absent:   | 0x00 |
//	field, present:  | 0x01 | length, 8 bytes, big-endian | bytes |
const (
	fieldAbsent  byte = 0
	fieldPresent byte = 1
)

// maxRetainedBytes bounds each buffer that a Hasher keeps between calls, so that
// one huge record doesn't pin its size in memory for the Hasher's life.
const maxRetainedBytes = 1 << 20

// Hasher computes content hashes and keeps its buffers between calls. The zero
// value is ready to use. It is not safe for concurrent use: a decoder holds one.
type Hasher struct {
	canon    canonicalizer
	preimage []byte
}

// Sum returns the first 16 bytes of the SHA-256 of the record's canonical content.
// Data and file are JSON text, source is the decoded text of source_system; nil
// means that the field was absent, which differs from empty and from null. The
// arguments are only read.
//
// An error means that data or file is no single valid JSON value, names a member
// twice, is nested deeper than MaxDepth or longer than MaxTextBytes.
func (h *Hasher) Sum(data, source, file []byte) (storage.Hash, error) {
	h.preimage = append(h.preimage[:0], version)
	if err := h.appendJSON(data); err != nil {
		return storage.Hash{}, fmt.Errorf("hashing data: %w", err)
	}
	h.appendField(source)
	if err := h.appendJSON(file); err != nil {
		return storage.Hash{}, fmt.Errorf("hashing file: %w", err)
	}
	sum := sha256.Sum256(h.preimage)
	if cap(h.preimage) > maxRetainedBytes {
		h.preimage = nil
	}
	return storage.Hash(sum[:len(storage.Hash{})]), nil
}

// Sum is Hasher.Sum for callers that hash one record.
func Sum(data, source, file []byte) (storage.Hash, error) {
	var h Hasher
	return h.Sum(data, source, file)
}

func (h *Hasher) appendJSON(text []byte) error {
	if text == nil {
		h.appendField(nil)
		return nil
	}
	canonical, err := h.canon.canonical(text)
	if err != nil {
		return err
	}
	h.appendField(canonical)
	return nil
}

func (h *Hasher) appendField(b []byte) {
	if b == nil {
		h.preimage = append(h.preimage, fieldAbsent)
		return
	}
	h.preimage = append(h.preimage, fieldPresent)
	h.preimage = binary.BigEndian.AppendUint64(h.preimage, uint64(len(b)))
	h.preimage = append(h.preimage, b...)
}
