package fsm

import (
	"errors"
	"fmt"

	"pipesync/storage"
)

// syncHistory is the history of an organization's syncs, as an entry finds and
// changes it: the last of them, in the order of the log.
//
// A row leaves the history when it is too old, or when there are too many; a few
// that are due go with each sync that is applied. It stays all the same as long
// as its idempotency key has a slot, since a replay is rebuilt from it: it is
// then before head.First, and goes with the slot.
type syncHistory struct {
	r    storage.Reader
	org  storage.OrgNum
	max  uint64
	keep int64 // nanoseconds; 0: for ever
	now  int64 // cluster time
	head storage.HistoryHead
}

// maxHistoryNamespaces is how many namespaces of one sync its row has, once no
// replay takes all of them.
const maxHistoryNamespaces = 100

func newSyncHistory(r storage.Reader, org storage.OrgNum, set storage.Settings, now int64) *syncHistory {
	return &syncHistory{
		r: r, org: org, max: uint64(set.HistorySyncsMax),
		keep: int64(set.HistoryRetentionSeconds) * nanosPerSecond, now: now,
	}
}

// load reads the head, which the other methods need.
func (h *syncHistory) load() (err error) {
	if h.head, err = h.r.HistoryHead(h.org); err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	return nil
}

// add puts the sync of the entry at index into the history, after making room
// for it. firstSlot is the first slot of an idempotency key that is there still.
func (h *syncHistory) add(b *storage.Batch, index uint64, row storage.History, firstSlot uint64) error {
	if err := h.collect(b, firstSlot); err != nil {
		return fmt.Errorf("collect history: %w", err)
	}
	if h.head.Count == 0 {
		h.head.First, h.head.Since = index, h.now
	}
	h.head.Count++
	row.Namespaces = uint32(len(row.ByNamespace))
	if !row.Keyed {
		trim(&row)
	}
	b.PutHistory(h.org, index, row)
	b.PutSyncID(h.org, row.SyncID, index)
	b.PutHistoryHead(h.org, h.head)
	return nil
}

// due says of the first sync whether it has to go before another one comes.
func (h *syncHistory) due(storedAt int64) bool {
	return h.head.Count >= h.max || h.keep != 0 && storedAt <= h.now-h.keep
}

func (h *syncHistory) collect(b *storage.Batch, firstSlot uint64) error {
	if h.head.Count == 0 || !h.due(h.head.Since) {
		return nil
	}
	removed := 0
	err := h.r.ScanHistory(h.org, h.head.First, collectedPerSync+1, func(index uint64, row storage.History) error {
		if removed == collectedPerSync || !h.due(row.StoredAt) {
			h.head.First, h.head.Since = index, row.StoredAt
			return errRangeEnds
		}
		removed++
		h.head.Count--
		return h.remove(b, index, &row, firstSlot)
	})
	if errors.Is(err, errRangeEnds) {
		return nil
	}
	if err == nil && h.head.Count != 0 {
		err = fmt.Errorf("%w: %d syncs are missing", storage.ErrCorrupt, h.head.Count)
	}
	return err
}

func (h *syncHistory) remove(b *storage.Batch, index uint64, row *storage.History, firstSlot uint64) error {
	named, found, err := h.r.SyncIndex(h.org, row.SyncID)
	if err != nil {
		return err
	}
	// A sync that was proposed again after its request id was forgotten is there
	// twice, and its id names the later one.
	if found && named == index {
		b.DeleteSyncID(h.org, row.SyncID)
	}
	if !row.Keyed || row.KeySlot < firstSlot {
		b.DeleteHistory(h.org, index)
	}
	return nil
}

// release is called when the slot of a key goes that made the sync at index.
func (h *syncHistory) release(b *storage.Batch, index uint64) error {
	if index < h.head.First {
		b.DeleteHistory(h.org, index)
		return nil
	}
	row, found, err := h.r.History(h.org, index)
	if err == nil && !found {
		err = fmt.Errorf("%w: an idempotency slot names sync %d, which has no history", storage.ErrCorrupt, index)
	}
	if err != nil {
		return err
	}
	if trim(&row) {
		b.PutHistory(h.org, index, row)
	}
	return nil
}

// trim leaves out namespaces that are too many for a row to be kept for long.
func trim(row *storage.History) bool {
	if len(row.ByNamespace) <= maxHistoryNamespaces {
		return false
	}
	row.ByNamespace = row.ByNamespace[:maxHistoryNamespaces]
	return true
}

// setResult puts what a sync did into its row.
func setResult(row *storage.History, s *SyncResult) {
	row.SyncID, row.HistoryCounts = s.SyncID, storage.HistoryCounts(s.Counts)
	row.CheckpointSkipped = s.CheckpointSkipped
	row.Created, row.Updated, row.Unchanged, row.Removed = s.Details.Created, s.Details.Updated, s.Details.Unchanged, s.Details.Removed
	for _, ns := range s.ByNamespace {
		row.ByNamespace = append(row.ByNamespace, storage.HistoryNamespace{Name: ns.Namespace, HistoryCounts: storage.HistoryCounts(ns.Counts)})
	}
}

// resultOf is the inverse of setResult. The window is of now, and filled in by
// the caller.
func resultOf(h storage.History) *SyncResult {
	s := &SyncResult{
		SyncID: h.SyncID, Counts: Counts(h.HistoryCounts), CheckpointSkipped: h.CheckpointSkipped,
		Details: Details{Created: h.Created, Updated: h.Updated, Unchanged: h.Unchanged, Removed: h.Removed},
	}
	for _, ns := range h.ByNamespace {
		s.ByNamespace = append(s.ByNamespace, NamespaceCounts{Namespace: ns.Name, Counts: Counts(ns.HistoryCounts)})
	}
	return s
}
