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

// change is one entry of a change index beside what there is of its record now.
type change struct {
	storage.Change
	seq       storage.Seq
	namespace *changedNamespace
	// newest is the newest row of the record, and generation where it is; 0 where
	// there is none.
	newest     storage.Fingerprint
	generation storage.Generation
}

// holds says that the record hasn't changed since.
func (c *change) holds() bool { return c.generation != 0 && c.newest.Changed == c.seq }

// shows says that readers get to see the change. A record that is live in a
// generation that isn't is gone, and its tombstone is to come.
func (c *change) shows() bool {
	return c.holds() && (c.newest.Tombstone || c.generation == c.namespace.row.Live)
}

// changedNamespace is a namespace that entries of a change index name.
type changedNamespace struct {
	name string
	row  storage.Namespace
}

// readChanges reads at most limit entries of a store behind `after`, and finds the newest
// rows of their records.
func readChanges(r storage.Reader, store storage.StoreNum, after storage.Seq, limit int) ([]change, error) {
	list, err := scanChanges(r, store, after, limit)
	if err != nil {
		return nil, err
	}
	return list, findNewest(r, store, pointers(list, 0, 1))
}

// scanChanges reads entries without the newest rows of their records.
func scanChanges(r storage.Reader, store storage.StoreNum, after storage.Seq, limit int) (list []change, err error) {
	err = r.ScanChanges(store, after, limit, func(seq storage.Seq, c storage.Change) error {
		list = append(list, change{Change: c, seq: seq})
		return nil
	})
	return list, err
}

// pointers are those to every step-th of a list, from one on.
func pointers(list []change, from, step int) []*change {
	every := make([]*change, 0, len(list)/step+1)
	for i := from; i < len(list); i += step {
		every = append(every, &list[i])
	}
	return every
}

// findNewest finds the newest rows of records that changed, and brings the changes in the order
// of namespaces and ids.
func findNewest(r storage.Reader, store storage.StoreNum, changes []*change) error {
	slices.SortFunc(changes, func(a, b *change) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
	})
	for len(changes) > 0 {
		n := 1
		for n < len(changes) && changes[n].Namespace == changes[0].Namespace {
			n++
		}
		if err := findNewestOf(r, store, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// findNewestOf finds the newest rows of the records of one namespace; changes are
// in the order of ids, of which one may come more than once.
func findNewestOf(r storage.Reader, store storage.StoreNum, changes []*change) error {
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
	for _, c := range changes {
		c.namespace = ns
	}
	gens, err := generations(r, store, &ns.row)
	if err != nil {
		return fmt.Errorf("read change index: %w", err)
	}
	for _, gen := range gens {
		if changes, err = findIn(r, store, num, gen, changes); err != nil {
			return fmt.Errorf("read change index: %w", err)
		}
		if len(changes) == 0 {
			break
		}
	}
	return nil
}

// findIn looks for the newest rows in one generation, and returns the changes whose
// records have none there.
func findIn(r storage.Reader, store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation, changes []*change) ([]*change, error) {
	var ids []string
	for _, c := range changes {
		if len(ids) == 0 || ids[len(ids)-1] != c.ID {
			ids = append(ids, c.ID)
		}
	}
	at, missing := 0, changes[:0]
	err := r.Fingerprints(store, ns, gen, ids, func(i int, f storage.Fingerprint, found bool) error {
		for ; at < len(changes) && changes[at].ID == ids[i]; at++ {
			if !found {
				missing = append(missing, changes[at])
				continue
			}
			changes[at].newest, changes[at].generation = f, gen
		}
		return nil
	})
	return missing, err
}
