package fsm

import (
	"fmt"

	"pipesync/storage"
)

// decide flips the namespace to a generation without a record. Its row stays as a
// stub, so that what comes late is still told from what is new, and those who
// follow the changes learn of each record that is gone.
func (c *NamespaceDelete) decide(tx *transaction) (*Result, error) {
	outcome, err := c.apply(tx)
	if err != nil {
		return nil, fmt.Errorf("delete namespace: %w", err)
	}
	if outcome != OK {
		return tx.refuse(outcome), nil
	}
	return tx.done(false), nil
}

func (c *NamespaceDelete) apply(tx *transaction) (Outcome, error) {
	outcome, err := checkKey(tx.db, c.KeyID, c.Org, tx.wall, func(s Scope) *Denial {
		return s.DenyNamespaces(MayDeleteNamespace, c.Store, c.Namespace)
	})
	if err != nil || outcome != OK {
		return outcome, err
	}
	org, _, err := tx.db.Org(c.Org)
	if err != nil {
		return 0, err
	}
	store, found, err := tx.db.Store(org.Num, c.Store)
	if err != nil || !found {
		return StoreNotFound, err
	}
	row, found, err := tx.db.Namespace(store.Num, c.Namespace)
	if err != nil || !found || row.Deleted {
		return NamespaceNotFound, err
	}
	old := oldRows{known: row.Count+row.Tombstones <= tx.bounds.FlipRows}
	if old.known {
		old.gone, err = readGeneration(tx.db, store.Num, row.Num, row.Live, "", scanAll)
	} else if may, mayErr := mayRetire(tx.db, store.Num, row.Num); mayErr != nil || !may {
		return ReconcileBacklog, mayErr
	}
	if err != nil {
		return 0, err
	}
	return OK, c.flip(tx, org.Num, store.Num, row, old)
}

func (c *NamespaceDelete) flip(tx *transaction, org storage.OrgNum, store storage.StoreNum, row storage.Namespace, old oldRows) error {
	usage, err := readUsage(tx.db, org, store)
	if err != nil {
		return err
	}
	w, err := tx.write(store, 0)
	if err != nil {
		return err
	}
	had, digest := usageOf(&row), row.Digest
	w.flip(&row, row.MaxTS, old)
	row.Count, row.Bytes, row.Digest = 0, 0, storage.Digest{}
	row.Refreshed, row.RefreshDigest = false, storage.Digest{}
	row.Deleted = true
	row.LastIndex, row.UpdatedAt = tx.index, tx.wall
	tx.batch.PutNamespace(store, c.Namespace, row)
	usage.move(had, usageOf(&row))
	usage.digest.replace(c.Namespace, digest, row.Digest)
	usage.settleDigests(c.Org, c.Store)
	usage.put(tx.batch)
	w.finish()
	return nil
}

func (c *StoreDelete) decide(tx *transaction) (*Result, error) {
	org, found, err := tx.db.Org(c.Org)
	if err != nil {
		return nil, fmt.Errorf("delete store: %w", err)
	}
	if !found {
		return tx.refuse(OrgNotFound), nil
	}
	store, found, err := tx.db.Store(org.Num, c.Store)
	if err != nil {
		return nil, fmt.Errorf("delete store: %w", err)
	}
	if !found {
		return tx.refuse(StoreNotFound), nil
	}
	usage, err := readUsage(tx.db, org.Num, store.Num)
	if err != nil {
		return nil, fmt.Errorf("delete store: %w", err)
	}
	usage.move(usage.inStore, storage.Usage{})
	usage.digest = digestSum{}
	usage.settleDigests(c.Org, c.Store)
	usage.put(tx.batch)
	tx.batch.DropStore(org.Num, c.Store, store.Num)
	return tx.done(false), nil
}
