package fsm

import (
	"crypto/sha256"

	"pipesync/storage"
)

// Idempotency is what a sync says about its idempotency key. The zero value
// means that it has none.
type Idempotency struct {
	Key     storage.KeyHash
	Request storage.RequestHash
}

func (i Idempotency) given() bool { return i != (Idempotency{}) }

// HashIdempotencyKey is the SHA-256 of the length of route, a byte, route, and
// key. Routes that do the same share one name.
func HashIdempotencyKey(route, key string) storage.KeyHash {
	in := append([]byte{byte(len(route))}, route...)
	return sha256.Sum256(append(in, key...))
}

// SetIdempotencyKey has s decided once under key. All that a client sends must be
// set before.
func (s *Sync) SetIdempotencyKey(route, key string) {
	s.Idempotency = Idempotency{Key: HashIdempotencyKey(route, key), Request: s.HashRequest()}
}

// requestHashVersion is the first byte of a RequestHash. What goes into it may
// change only with the version: a retry may reach a node of another release.
const requestHashVersion = 1

// HashRequest is what two requests under one idempotency key must have in
// common: the version, then the first 31 bytes of the SHA-256 of
//
//	org │ store │ mode │ has timestamp │ timestamp (8) │ on stale │ has guard │ guard (4) │
//	has checkpoint │ pipeline │ state │ count (4) │ for each operation:
//	action │ namespace │ id │ content hash (16) │ created at │ updated at
//
// Strings begin with their length (4); created and updated at with a byte that
// says whether they are there. The content hash stands for data, source system
// and file: how the JSON is laid out makes no other request. The state of a
// checkpoint is hashed as it was sent. What the node
// adds (request id, sync id, key id) isn't in it.
func (s *Sync) HashRequest() (out storage.RequestHash) {
	h := sha256.New()
	var e encoder
	e.str(s.Org)
	e.str(s.Store)
	e.u8(byte(s.Mode))
	e.bool(s.HasTimestamp)
	e.u64(uint64(s.Timestamp))
	e.u8(byte(s.OnStale))
	e.bool(s.HasMaxDelete)
	e.u32(s.MaxDelete)
	checkpoint := s.Checkpoint
	if checkpoint == nil {
		checkpoint = new(Checkpoint)
	}
	e.bool(s.Checkpoint != nil)
	e.str(checkpoint.Pipeline)
	e.str(string(checkpoint.State))
	e.u32(uint32(len(s.Operations)))
	for i := range s.Operations {
		op := &s.Operations[i]
		e.u8(byte(op.Action))
		e.str(op.Namespace)
		e.str(op.ID)
		e.raw(op.Hash[:])
		for _, field := range [][]byte{op.CreatedAt, op.UpdatedAt} {
			e.bool(field != nil)
			e.str(string(field))
		}
		_, _ = h.Write(e.b) // never fails
		e.b = e.b[:0]
	}
	_, _ = h.Write(e.b)
	out[0] = requestHashVersion
	copy(out[1:], h.Sum(nil))
	return out
}

// sameRequest compares only hashes of one version. Between two of them a
// difference says nothing, and a key that was used must not be applied again:
// the reply to the first request is told.
func sameRequest(a, b storage.RequestHash) bool { return a[0] != b[0] || a == b }

func (e *encoder) str(v string) {
	e.u32(uint32(len(v)))
	e.b = append(e.b, v...)
}

func (e *encoder) bool(v bool) {
	if v {
		e.u8(1)
		return
	}
	e.u8(0)
}
