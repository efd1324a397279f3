package fsm

import (
	"errors"
	"fmt"

	"pipesync/storage"
)

// storeWriter writes into one store what one entry changes, and keeps the change
// index in step.
type storeWriter struct {
	*transaction
	store  storage.StoreNum
	head   storage.ChangeHead
	before storage.ChangeHead // as it was read
	// offset is the next of those seqs of the entry that no operation has.
	offset uint32
	// changes are those of this entry, each at its offset; between them are some without
	// an id, which are none.
	changes []storage.ChangeAt
}

// write begins to write into a store what an entry with so many operations changes.
func (tx *transaction) write(store storage.StoreNum, operations int) (*storeWriter, error) {
	head, err := tx.db.ChangeHead(store)
	if err != nil {
		return nil, fmt.Errorf("open change index: %w", err)
	}
	return &storeWriter{transaction: tx, store: store, head: head, before: head, offset: uint32(operations)}, nil
}

// nextSeq is for a change that no operation makes.
func (w *storeWriter) nextSeq() storage.Seq {
	w.offset++
	return storage.Seq{Index: w.index, Offset: w.offset - 1}
}

// addChange enters a record into the change index, once for a seq. The seq is the entry's.
func (w *storeWriter) addChange(seq storage.Seq, ns storage.NamespaceNum, id string) storage.Seq {
	for uint32(len(w.changes)) <= seq.Offset {
		w.changes = append(w.changes, storage.ChangeAt{})
	}
	w.changes[seq.Offset] = storage.ChangeAt{Offset: seq.Offset, Change: storage.Change{Namespace: ns, ID: id}}
	w.head.Entries++
	return seq
}

// putChanges writes what addChange was given.
func (w *storeWriter) putChanges() {
	var row [storage.ChangesInRow]storage.ChangeAt
	n := 0
	put := func() {
		if n > 0 {
			w.batch.PutChanges(w.store, storage.Seq{Index: w.index, Offset: row[n-1].Offset}, row[:n])
			n = 0
		}
	}
	for i := range w.changes {
		if w.changes[i].ID == "" {
			continue
		}
		row[n] = w.changes[i]
		if n++; n == len(row) {
			put()
		}
	}
	put()
}

// removeChanges removes those at seqs, which ascend and lie behind after.
func (w *storeWriter) removeChanges(after storage.Seq, seqs []storage.Seq) error {
	err := w.db.ScanChangeRows(w.store, after, func(row storage.Seq, list []storage.ChangeAt) error {
		if len(seqs) == 0 {
			return errRangeEnds
		}
		kept := list[:0]
		for _, c := range list {
			if len(seqs) > 0 && seqs[0] == (storage.Seq{Index: row.Index, Offset: c.Offset}) {
				seqs = seqs[1:]
				w.head.Entries--
				continue
			}
			kept = append(kept, c)
		}
		switch len(kept) {
		case len(list):
		case 0:
			w.batch.DeleteChanges(w.store, row)
		default:
			w.batch.PutChanges(w.store, row, kept)
		}
		return nil
	})
	if errors.Is(err, errRangeEnds) {
		return nil
	}
	return err
}

// forget notes that a tombstone is no longer there.
func (w *storeWriter) forget(changed storage.Seq) {
	if changed.Compare(w.head.Horizon) > 0 {
		w.head.Horizon = changed
	}
}

// finish comes last.
func (w *storeWriter) finish() {
	w.putChanges()
	if w.head != w.before {
		w.batch.PutChangeHead(w.store, w.head)
	}
}
