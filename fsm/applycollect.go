package fsm

import (
	"errors"
	"fmt"

	"pipesync/storage"
)

const nanosPerSecond = 1_000_000_000

var errRangeEnds = errors.New("the range ends")

// decide removes tombstones, and notes in the horizon the newest timestamp that
// they had: what comes with an older one can't be told from a record that was
// deleted since.
func (c *Collect) decide(tx *transaction) (*Result, error) {
	set, found, err := tx.db.Settings()
	if err == nil && !found {
		err = fmt.Errorf("%w: no settings", storage.ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("collect tombstones: %w", err)
	}
	row, found, err := tx.db.Namespace(c.Store, c.Namespace)
	if err != nil {
		return nil, fmt.Errorf("collect tombstones: %w", err)
	}
	if !found || row.Live != c.Generation || set.TombstoneRetentionSeconds == 0 {
		return tx.done(false), nil
	}
	// A tombstone that a reconcile leaves is as old as the floor: a horizon that is
	// newer would be forgotten.
	if pending, err := anyRetired(tx.db, c.Store, row.Num); pending || err != nil {
		return tx.done(false), err
	}
	w, err := tx.write(c.Store, 0)
	if err != nil {
		return nil, fmt.Errorf("collect tombstones: %w", err)
	}
	if deleted, err := tx.db.OrgDeleted(row.Org); err != nil || deleted {
		return tx.done(false), err // it is about to be purged, and counts for nothing
	}
	usage, err := readUsage(tx.db, row.Org, c.Store)
	if err != nil {
		return nil, fmt.Errorf("collect tombstones: %w", err)
	}
	had := usageOf(&row)
	before := min(c.Before, tx.system.ClusterTime-retention(set))
	rows := 0
	err = tx.db.ScanFingerprints(c.Store, row.Num, row.Live, c.After, MaxCollectRows, func(id string, f storage.Fingerprint) error {
		if id > c.Until {
			return errRangeEnds
		}
		rows++
		if f.Tombstone && f.BuriedAt <= before {
			tx.batch.DeleteFingerprint(c.Store, row.Num, row.Live, id)
			row.Tombstones--
			row.Horizon = max(row.Horizon, f.SyncTimestamp)
			w.forget(f.Changed)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errRangeEnds) {
		return nil, fmt.Errorf("collect tombstones: %w", err)
	}
	// A range that may have been cut short leaves tombstones that nobody counted.
	if rows < MaxCollectRows {
		row.BuriedSince = max(row.BuriedSince, min(c.Oldest, tx.system.ClusterTime))
	}
	tx.batch.PutNamespace(c.Store, c.Namespace, row)
	w.finish()
	usage.move(had, usageOf(&row))
	usage.put(tx.batch)
	return tx.done(false), nil
}

// retention is how long a tombstone stays at least, in nanoseconds.
func retention(set storage.Settings) int64 {
	return int64(set.TombstoneRetentionSeconds) * nanosPerSecond
}
