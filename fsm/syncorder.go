package fsm

import (
	"fmt"

	"pipesync/storage"
)

// The order between syncs is that of their timestamps, and at equality that of
// the log. What the namespaces' rows decide about it is here; what a record's
// row decides is in namespaceWriter.judge.

// maxAheadNanos is how far a timestamp may be ahead of wall time.
const maxAheadNanos = 5 * 60 * 1_000_000_000

func isFuture(h *Header, wall int64) bool {
	// Unsigned, the difference of any two times is exact.
	return h.HasTimestamp && h.Timestamp > wall && uint64(h.Timestamp)-uint64(wall) > maxAheadNanos
}

func readNamespaces(r storage.Reader, store storage.StoreNum, names []string) ([]storage.Namespace, error) {
	rows := make([]storage.Namespace, len(names))
	for i, name := range names {
		row, _, err := r.Namespace(store, name)
		if err != nil {
			return nil, fmt.Errorf("namespace %d: %w", i, err)
		}
		rows[i] = row
	}
	return rows, nil
}

// checkOrder decides what the rows of its namespaces decide about a sync. One
// without a timestamp gets one that is older than nothing.
func checkOrder(h *Header, rows []storage.Namespace) Outcome {
	outcome := OK
	if !h.HasTimestamp {
		return outcome
	}
	for i := range rows {
		row := &rows[i]
		switch {
		case h.Mode == FullRefresh:
			if h.Timestamp < row.MaxTS {
				return StaleRefresh
			}
		case h.Timestamp < row.Floor:
			if h.OnStale == RejectStale {
				return StaleSync
			}
		case row.Count+row.Tombstones == 0 && isForgotten(row, h.Timestamp):
			outcome = SyncTooOld
		}
	}
	return outcome
}

// isForgotten says that an id without a row may have had a tombstone as new as
// a timestamp that a sync came with.
func isForgotten(row *storage.Namespace, timestamp int64) bool {
	return row.Horizon != 0 && timestamp <= row.Horizon
}
