package fsm

import (
	"cmp"
	"fmt"
	"slices"

	"pipesync/storage"
)

// The change index of a store names, in the order of seqs, the records that
// changed. An entry holds as long as the newest row of its record has its seq:
// so each record that was ever there counts once, at its latest change. What
// holds no longer is passed over, and removed some time by a ChangeCollect.

// changeWriter adds to the change index of one store and takes away from it.
type changeWriter struct {
	batch  *storage.Batch
	store  storage.StoreNum
	head   storage.ChangeHead
	before storage.ChangeHead // as it was read
}

func (tx *transaction) openChanges(store storage.StoreNum) (*changeWriter, error) {
	head, err := tx.db.ChangeHead(store)
	if err != nil {
		return nil, fmt.Errorf("open change index: %w", err)
	}
	return &changeWriter{batch: tx.batch, store: store, head: head, before: head}, nil
}

func (w *changeWriter) add(seq storage.Seq, ns storage.NamespaceNum, id string) {
	w.batch.PutChange(w.store, seq, storage.Change{Namespace: ns, ID: id})
	w.head.Rows++
}

func (w *changeWriter) remove(seq storage.Seq) {
	w.batch.DeleteChange(w.store, seq)
	w.head.Rows--
}

// forget notes that the tombstone of a change is no longer there.
func (w *changeWriter) forget(seq storage.Seq) {
	if seq.Compare(w.head.Horizon) > 0 {
		w.head.Horizon = seq
	}
}

// finish comes last.
func (w *changeWriter) finish() {
	if w.head != w.before {
		w.batch.PutChangeHead(w.store, w.head)
	}
}

// change is one entry of a change index beside what there is of its record now.
type change struct {
	storage.Change
	seq       storage.Seq
	namespace *changedNamespace
	newest    storage.Fingerprint // of the record, where found
	found     bool
}

// holds says that the record hasn't changed since.
func (c *change) holds() bool { return c.found && c.newest.Changed == c.seq }

// changedNamespace is a namespace that entries of a change index name.
type changedNamespace struct {
	name string
	row  storage.Namespace
}

// readChanges reads at most limit entries of a store behind `after`.
func readChanges(r storage.Reader, store storage.StoreNum, after storage.Seq, limit int) ([]change, error) {
	var list []change
	err := r.ScanChanges(store, after, limit, func(seq storage.Seq, c storage.Change) error {
		list = append(list, change{Change: c, seq: seq})
		return nil
	})
	if err != nil {
		return nil, err
	}
	byRecord := make([]*change, len(list))
	for i := range list {
		byRecord[i] = &list[i]
	}
	slices.SortFunc(byRecord, func(a, b *change) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
	})
	for len(byRecord) > 0 {
		n := 1
		for n < len(byRecord) && byRecord[n].Namespace == byRecord[0].Namespace {
			n++
		}
		if err := findNewest(r, store, byRecord[:n]); err != nil {
			return nil, err
		}
		byRecord = byRecord[n:]
	}
	return list, nil
}

// findNewest finds the newest rows of the records of one namespace; changes are
// in the order of ids, of which one may come more than once.
func findNewest(r storage.Reader, store storage.StoreNum, changes []*change) error {
	num := changes[0].Namespace
	name, found, err := r.NamespaceName(store, num)
	ns := &changedNamespace{name: name}
	if err == nil && found {
		ns.row, found, err = r.Namespace(store, name)
	}
	if err == nil && !found {
		err = fmt.Errorf("%w: namespace %d has changes, and no row", storage.ErrCorrupt, num)
	}
	if err != nil {
		return fmt.Errorf("read change index: %w", err)
	}
	var ids []string
	for _, c := range changes {
		c.namespace = ns
		if len(ids) == 0 || ids[len(ids)-1] != c.ID {
			ids = append(ids, c.ID)
		}
	}
	at := 0
	return r.Fingerprints(store, num, ns.row.Live, ids, func(i int, f storage.Fingerprint, found bool) error {
		for ; at < len(changes) && changes[at].ID == ids[i]; at++ {
			changes[at].newest, changes[at].found = f, found
		}
		return nil
	})
}
