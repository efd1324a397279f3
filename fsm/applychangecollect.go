package fsm

import (
	"fmt"

	"pipesync/storage"
)

// decide removes entries of a change index that hold no longer, and the contents that
// came with them. Nobody who reads sees a difference.
func (c *ChangeCollect) decide(tx *transaction) (*Result, error) {
	if err := c.apply(tx); err != nil {
		return nil, fmt.Errorf("collect changes: %w", err)
	}
	return tx.done(false), nil
}

func (c *ChangeCollect) apply(tx *transaction) error {
	w, err := tx.write(c.Store, 0)
	if err != nil {
		return err
	}
	list, err := readChanges(tx.db, c.Store, c.After, MaxCollectRows)
	if err != nil {
		return err
	}
	var gone []storage.Seq
	var in []*changedNamespace // in the order of their first entries
	seqs := map[*changedNamespace][]storage.Seq{}
	for i := range list {
		if list[i].seq.Compare(c.Until) > 0 {
			break
		}
		if list[i].holds() {
			continue
		}
		gone = append(gone, list[i].seq)
		ns := list[i].namespace
		if seqs[ns] == nil {
			in = append(in, ns)
		}
		seqs[ns] = append(seqs[ns], list[i].seq)
	}
	if err := w.removeChanges(c.After, gone); err != nil {
		return err
	}
	for _, ns := range in {
		if err := w.removeContents(ns, seqs[ns]); err != nil {
			return err
		}
	}
	w.finish()
	return nil
}

// removeContents removes those that came with changes which hold no longer, as far as
// they are still there.
func (w *storeWriter) removeContents(ns *changedNamespace, seqs []storage.Seq) error {
	row := ns.row
	if row.Superseded == 0 {
		return nil
	}
	err := w.db.ContentSizes(w.store, row.Num, row.Live, seqs, func(changed storage.Seq, bytes uint64) {
		w.batch.DeleteContent(w.store, row.Num, row.Live, changed)
		row.Superseded--
		row.SupersededBytes -= bytes
	})
	if err != nil || row == ns.row {
		return err
	}
	w.batch.PutNamespace(w.store, ns.name, row)
	return nil
}
