package fsm

import (
	"pipesync/internal/planted"
	"pipesync/storage"
)

// A flip makes the next generation of a namespace the live one. What was there
// before, and isn't in the new one, is gone, and whoever follows the changes has to
// learn it. So each id that is gone leaves a tombstone in the live generation: a
// new one where there was a record; where there was a tombstone, that one as it
// is, since not everybody may have read it.
//
// If the old generation has few rows, the entry that flips sees to that itself.
// Otherwise the generation is retired: its contents go at once, and its
// fingerprints are gone through by Reconcile commands. Until then the newest row
// of a record may be in a retired generation: see findNewest.

// maxRetired bounds the retired generations of a namespace: whoever follows the
// changes may have to look into each.
const maxRetired = 4

// Bounds are constants, but for tests, for which they are too large.
type Bounds struct {
	// FlipRows are how many rows of old generations an entry that flips goes
	// through at most.
	FlipRows uint64
	// ReconcileRows are how many rows a Reconcile goes through at most: whatever is
	// applied behind one waits for that.
	ReconcileRows int
	// StaleChanges are how many changes that hold no longer make a change index worth
	// sweeping.
	StaleChanges uint64
	// SupersededBytes of contents are worth that, too.
	SupersededBytes uint64
}

var defaultBounds = Bounds{FlipRows: 5000, ReconcileRows: 500, StaleChanges: 10_000, SupersededBytes: 64 << 20}

// goneRow is a row of an old generation whose id has none in a newer one.
type goneRow struct {
	id string
	storage.Fingerprint
}

// mayRetire says that another generation of a namespace may be retired.
func mayRetire(r storage.Reader, store storage.StoreNum, ns storage.NamespaceNum) (bool, error) {
	n := 0
	err := r.ScanRetired(store, ns, maxRetired, func(storage.StoreNum, storage.NamespaceNum, storage.Generation) error {
		n++
		return nil
	})
	return n < maxRetired, err
}

// anyRetired says that a namespace, or with ns 0 a store, has retired generations.
func anyRetired(r storage.Reader, store storage.StoreNum, ns storage.NamespaceNum) (bool, error) {
	found := false
	err := r.ScanRetired(store, ns, 1, func(storage.StoreNum, storage.NamespaceNum, storage.Generation) error {
		found = true
		return nil
	})
	return found, err
}

// oldRows are the rows of a generation that a flip makes old.
type oldRows struct {
	// known says that all have been gone through; gone are then those without a
	// successor, in the order of ids.
	known bool
	gone  []goneRow
}

// flip makes the next generation of row the live one, as of a timestamp.
func (w *storeWriter) flip(row *storage.Namespace, timestamp int64, old oldRows) {
	gen := row.Live
	row.Live, row.Next = row.Next, row.Next+1
	row.Tombstones, row.BuriedSince = 0, 0
	row.Superseded, row.SupersededBytes = 0, 0
	row.MaxTS, row.Floor = timestamp, timestamp
	switch {
	case gen == 0:
	case old.known:
		w.batch.DropGeneration(w.store, row.Num, gen)
		w.leaveTombstones(row, old.gone)
	default:
		w.batch.DropContents(w.store, row.Num, gen)
		w.batch.PutRetired(w.store, row.Num, gen, storage.Retired{})
	}
}

// leaveTombstones leaves them in the live generation of what is gone. In the order of
// syncs the floor stands for them: their timestamps decide nothing.
func (w *storeWriter) leaveTombstones(row *storage.Namespace, gone []goneRow) {
	for i := range gone {
		f := gone[i].Fingerprint
		if f.Tombstone && planted.Is(planted.FloorForTombstones) {
			continue
		}
		if !f.Tombstone {
			f = storage.Fingerprint{
				SyncTimestamp: row.Floor,
				Changed:       w.addChange(w.nextSeq(), row.Num, gone[i].id),
				Tombstone:     true,
				BuriedAt:      w.system.ClusterTime,
			}
		}
		w.putTombstone(row, gone[i].id, f)
	}
}

// putTombstone writes one where there was no tombstone in the live generation.
func (w *storeWriter) putTombstone(row *storage.Namespace, id string, f storage.Fingerprint) {
	w.batch.PutFingerprint(w.store, row.Num, row.Live, id, f)
	if row.Tombstones == 0 || f.BuriedAt < row.BuriedSince {
		row.BuriedSince = f.BuriedAt
	}
	row.Tombstones++
}
