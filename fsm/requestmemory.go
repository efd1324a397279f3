package fsm

import (
	"fmt"

	"pipesync/internal/planted"
	"pipesync/storage"
)

// A node that doesn't learn what came of its proposal proposes the same bytes
// again. The record of a sync that was applied answers the second, wherever in the
// log it lies. Records are kept for longer than any node goes on with a request;
// like idempotency keys they have slots in their order, and a few that are too
// old are cleared away with each sync that is applied.
const requestKeepNanos = 10 * 60 * nanosPerSecond

func requestExpired(storedAt, now int64) bool { return storedAt <= now-requestKeepNanos }

// recallRequest is the reply to the proposal with this id, or nil if none was
// applied.
func recallRequest(r storage.Reader, id RequestID, now int64) (*Result, error) {
	if id == (RequestID{}) || planted.Is(planted.ForgetfulRequests) {
		return nil, nil
	}
	record, found, err := r.Request(storage.RequestID(id))
	if err != nil {
		return nil, fmt.Errorf("recall request: %w", err)
	}
	if !found || requestExpired(record.StoredAt, now) {
		return nil, nil
	}
	result, err := DecodeResult(record.Reply)
	if err != nil {
		return nil, fmt.Errorf("recall request: %w: %w", storage.ErrCorrupt, err)
	}
	return result, nil
}

// rememberRequest collects what has expired, and keeps the result of a sync that
// is applied.
func (tx *transaction) rememberRequest(id RequestID, result *Result) error {
	head, err := tx.db.RequestHead()
	if err != nil {
		return fmt.Errorf("remember request: %w", err)
	}
	before, now := head, tx.system.ClusterTime
	for range collectedPerSync {
		if head.First == head.Next {
			break
		}
		slot, found, err := tx.db.RequestSlot(head.First)
		if err == nil && !found {
			err = fmt.Errorf("%w: no request slot %d", storage.ErrCorrupt, head.First)
		}
		if err != nil {
			return fmt.Errorf("remember request: %w", err)
		}
		if !requestExpired(slot.StoredAt, now) {
			break
		}
		record, found, err := tx.db.Request(slot.ID)
		if err != nil {
			return fmt.Errorf("remember request: %w", err)
		}
		// An id that came again after all that time has a later slot too.
		if found && record.StoredAt == slot.StoredAt {
			tx.batch.DeleteRequest(slot.ID)
		}
		tx.batch.DeleteRequestSlot(head.First)
		head.First++
	}
	if id != (RequestID{}) {
		tx.batch.PutRequest(storage.RequestID(id), storage.Request{StoredAt: now, Reply: result.Encode()})
		tx.batch.PutRequestSlot(head.Next, storage.RequestSlot{StoredAt: now, ID: storage.RequestID(id)})
		head.Next++
	}
	if head != before {
		tx.batch.PutRequestHead(head)
	}
	return nil
}
