package fsm

import (
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

// addChange enters a record into the change index.
func (w *storeWriter) addChange(seq storage.Seq, ns storage.NamespaceNum, id string) storage.Seq {
	w.batch.PutChange(w.store, seq, storage.Change{Namespace: ns, ID: id})
	w.head.Rows++
	return seq
}

func (w *storeWriter) removeChange(seq storage.Seq) {
	w.batch.DeleteChange(w.store, seq)
	w.head.Rows--
}

// forget notes that a tombstone is no longer there.
func (w *storeWriter) forget(changed storage.Seq) {
	if changed.Compare(w.head.Horizon) > 0 {
		w.head.Horizon = changed
	}
}

// finish comes last.
func (w *storeWriter) finish() {
	if w.head != w.before {
		w.batch.PutChangeHead(w.store, w.head)
	}
}
