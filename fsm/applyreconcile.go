package fsm

import (
	"fmt"
	"slices"

	"pipesync/storage"
)

// decide goes through the next rows of a retired generation, whichever they are:
// so it does no harm where it comes twice, late, or in whatever order with others.
func (c *Reconcile) decide(tx *transaction) (*Result, error) {
	if err := c.apply(tx); err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	return tx.done(false), nil
}

func (c *Reconcile) apply(tx *transaction) error {
	row, found, err := tx.db.Namespace(c.Store, c.Namespace)
	if err != nil || !found {
		return err
	}
	retired, found, err := tx.db.Retired(c.Store, row.Num, c.Generation)
	if err != nil || !found {
		return err
	}
	w, err := tx.write(c.Store, 0)
	if err != nil {
		return err
	}
	rows, err := readGeneration(tx.db, c.Store, row.Num, c.Generation, retired.After, tx.bounds.ReconcileRows)
	if err != nil {
		return err
	}
	more := len(rows) == tx.bounds.ReconcileRows
	retired.After = ""
	if more {
		retired.After = rows[len(rows)-1].id
	}
	gone, err := withoutSuccessor(tx.db, c.Store, &row, c.Generation, rows)
	if err != nil {
		return err
	}
	if deleted, err := tx.db.OrgDeleted(row.Org); err != nil || deleted {
		return err // it is about to be purged, and counts for nothing
	}
	usage, err := readUsage(tx.db, row.Org, c.Store)
	if err != nil {
		return err
	}
	had := usageOf(&row)
	w.leaveTombstones(&row, gone)
	usage.move(had, usageOf(&row))
	usage.put(tx.batch)
	tx.batch.DropFingerprints(c.Store, row.Num, c.Generation, retired.After)
	if more {
		tx.batch.PutRetired(c.Store, row.Num, c.Generation, retired)
	} else {
		tx.batch.DeleteRetired(c.Store, row.Num, c.Generation)
	}
	tx.batch.PutNamespace(c.Store, c.Namespace, row)
	w.finish()
	return nil
}

// readGeneration reads at most limit rows of a generation behind `after`.
func readGeneration(r storage.Reader, store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation, after string, limit int) ([]goneRow, error) {
	var rows []goneRow
	err := r.ScanFingerprints(store, ns, gen, after, limit, func(id string, f storage.Fingerprint) error {
		rows = append(rows, goneRow{id, f})
		return nil
	})
	return rows, err
}

// withoutSuccessor gives those of the rows of a retired generation whose ids have
// no row in a newer one. It asks all of them: what the live one lacks may have been
// in one between, and a reader may know it from there.
func withoutSuccessor(r storage.Reader, store storage.StoreNum, row *storage.Namespace, gen storage.Generation, rows []goneRow) ([]goneRow, error) {
	newer, err := generations(r, store, row)
	if err != nil {
		return nil, err
	}
	for _, g := range newer {
		if g <= gen || len(rows) == 0 {
			break
		}
		ids := make([]string, len(rows))
		for i := range rows {
			ids[i] = rows[i].id
		}
		gone := rows[:0]
		err := r.Fingerprints(store, row.Num, g, ids, func(i int, _ storage.Fingerprint, found bool) error {
			if !found {
				gone = append(gone, rows[i])
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		rows = gone
	}
	return rows, nil
}

// generations are those of a namespace that have rows: the live one, then the
// retired ones, the newest first.
func generations(r storage.Reader, store storage.StoreNum, row *storage.Namespace) ([]storage.Generation, error) {
	list := []storage.Generation{row.Live}
	err := r.ScanRetired(store, row.Num, maxRetired, func(_ storage.StoreNum, _ storage.NamespaceNum, gen storage.Generation) error {
		list = append(list, gen)
		return nil
	})
	slices.Reverse(list[1:])
	return list, err
}
