package fsm

import (
	"fmt"

	"pipesync/storage"
)

// keyMemory is what is remembered of an organization's idempotency keys, at one
// moment of cluster time.
//
// A key has a record, a slot, and a claim to the history row of the sync that it
// made. Slots are numbered in the order in which the keys were stored, so that the live
// ones are always the last: as for the rate window, one slot tells whether there
// is room, and the expired ones are collected from the front, a few with each
// sync. What has expired and is there still counts as gone.
type keyMemory struct {
	r       storage.Reader
	org     storage.OrgNum
	keysMax uint64
	keep    int64 // nanoseconds; 0: for ever
	now     int64 // cluster time
}

// collectedPerSync bounds the expired keys that one sync clears away. It is more
// than the one that it may add, so that they never pile up.
const collectedPerSync = 4

func newKeyMemory(r storage.Reader, org storage.OrgNum, set storage.Settings, now int64) *keyMemory {
	return &keyMemory{
		r: r, org: org, keysMax: uint64(set.IdempotencyKeysMax),
		keep: int64(set.IdempotencyRetentionSeconds) * nanosPerSecond, now: now,
	}
}

func (m *keyMemory) expired(storedAt int64) bool { return m.keep != 0 && storedAt <= m.now-m.keep }

// lookUp decides about a sync with a key that is remembered: it is answered with
// the reply to the first one, or refused if it isn't the same. OK means that the
// key is new.
func (m *keyMemory) lookUp(given Idempotency) (Outcome, *Result, error) {
	record, found, err := m.r.Idempotency(m.org, given.Key)
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("read idempotency key: %w", err)
	case !found || m.expired(record.StoredAt):
		return OK, nil, nil
	case !sameRequest(record.Request, given.Request):
		return IdempotencyKeyReused, nil, nil
	}
	history, found, err := m.r.History(m.org, record.Index)
	if err == nil && !found {
		err = fmt.Errorf("%w: an idempotency key names sync %d, which has no history", storage.ErrCorrupt, record.Index)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read idempotency key: %w", err)
	}
	return Replayed, &Result{Outcome: Replayed, Index: record.Index, Sync: resultOf(history)}, nil
}

// full says whether the organization has as many live keys as it may.
func (m *keyMemory) full() (bool, error) {
	if m.keysMax == 0 {
		return true, nil
	}
	head, err := m.r.IdempotencyHead(m.org)
	if err != nil {
		return false, fmt.Errorf("read idempotency keys: %w", err)
	}
	if head.Next-head.First < m.keysMax {
		return false, nil
	}
	slot, err := m.slot(head.Next - m.keysMax)
	return err == nil && !m.expired(slot.StoredAt), err
}

func (m *keyMemory) slot(seq uint64) (storage.IdempotencySlot, error) {
	slot, found, err := m.r.IdempotencySlot(m.org, seq)
	if err == nil && !found {
		err = fmt.Errorf("%w: no idempotency slot %d", storage.ErrCorrupt, seq)
	}
	if err != nil {
		return slot, fmt.Errorf("read idempotency keys: %w", err)
	}
	return slot, nil
}

// update collects what has expired and, if the sync came with a key, remembers it
// with the sync's result. It returns which slots there are then: the sync's is
// the last.
func (m *keyMemory) update(b *storage.Batch, given Idempotency, result *Result, history *syncHistory) (storage.SlotRange, error) {
	head, err := m.r.IdempotencyHead(m.org)
	if err != nil {
		return head, fmt.Errorf("read idempotency keys: %w", err)
	}
	before := head
	if err := m.collect(b, &head, history); err != nil {
		return head, err
	}
	if given.given() {
		// After collect: the record may have been there, expired.
		b.PutIdempotency(m.org, given.Key, storage.Idempotency{
			Request: given.Request, Index: result.Index, SyncID: result.Sync.SyncID, StoredAt: m.now,
		})
		b.PutIdempotencySlot(m.org, head.Next, storage.IdempotencySlot{StoredAt: m.now, Index: result.Index, Key: given.Key})
		head.Next++
	}
	if head != before {
		b.PutIdempotencyHead(m.org, head)
	}
	return head, nil
}

func (m *keyMemory) collect(b *storage.Batch, head *storage.SlotRange, history *syncHistory) error {
	for range collectedPerSync {
		if head.First == head.Next {
			return nil
		}
		slot, err := m.slot(head.First)
		if err != nil || !m.expired(slot.StoredAt) {
			return err
		}
		record, found, err := m.r.Idempotency(m.org, slot.Key)
		if err != nil {
			return fmt.Errorf("read idempotency keys: %w", err)
		}
		// A key that was used again after it had expired has another slot too.
		if found && record.Index == slot.Index {
			b.DeleteIdempotency(m.org, slot.Key)
		}
		if err := history.release(b, slot.Index); err != nil {
			return fmt.Errorf("read idempotency keys: %w", err)
		}
		b.DeleteIdempotencySlot(m.org, head.First)
		head.First++
	}
	return nil
}
