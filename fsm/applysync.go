package fsm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pipesync/storage"
)

func (tx *transaction) sync(e *syncEntry) (*Result, error) {
	h := Header{SyncID: e.SyncID, Org: e.Org, KeyID: e.KeyID, Store: e.Sync.Store}
	check, err := checkSync(tx.db, &h, tx.system.ClusterTime)
	if err != nil {
		return nil, err
	}
	if check.outcome != OK {
		return check.result(&h, tx.index), nil
	}
	check.window.admit(tx.batch)
	result := check.result(&h, tx.index)
	w := &syncWriter{transaction: tx, entry: e, store: check.store, result: result.Sync}
	if err := w.write(); err != nil {
		return nil, fmt.Errorf("apply sync: %w", err)
	}
	return result, nil
}

// syncWriter writes the operations of one admitted sync, a namespace at a time.
type syncWriter struct {
	*transaction
	entry      *syncEntry
	store      storage.StoreNum
	result     *SyncResult
	namespaces []storage.Namespace // of entry.names, as they will be
	timestamp  int64
}

func (w *syncWriter) write() error {
	w.countOperations()
	if err := w.loadNamespaces(); err != nil {
		return err
	}
	last := w.lastOperations()
	for len(last) > 0 {
		ns := w.entry.nsOf[last[0]]
		n := 1
		for n < len(last) && w.entry.nsOf[last[n]] == ns {
			n++
		}
		if err := w.writeNamespace(int(ns), last[:n]); err != nil {
			return fmt.Errorf("namespace %d of the entry: %w", ns, err)
		}
		last = last[n:]
	}
	return nil
}

func (w *syncWriter) countOperations() {
	if len(w.entry.names) == 0 {
		return
	}
	by := make([]NamespaceCounts, len(w.entry.names))
	for i, name := range w.entry.names {
		by[i].Namespace = name
	}
	for i := range w.entry.Operations {
		ns := w.entry.nsOf[i]
		if w.entry.Operations[i].Action == Upsert {
			by[ns].Upserted++
			w.result.Counts.Upserted++
		} else {
			by[ns].Deleted++
			w.result.Counts.Deleted++
		}
	}
	w.result.ByNamespace = by
}

// loadNamespaces reads the namespaces that the entry names, numbers the new
// ones in the order in which operations name them, and settles the timestamp:
// where the request has none, one that is older than nothing it may meet.
func (w *syncWriter) loadNamespaces() error {
	w.namespaces = make([]storage.Namespace, len(w.entry.names))
	w.timestamp = w.wall
	for i, name := range w.entry.names {
		ns, found, err := w.db.Namespace(w.store, name)
		if err != nil {
			return err
		}
		if !found {
			ns = storage.Namespace{Num: w.system.NextNamespace, Next: firstGeneration}
			w.system.NextNamespace++
		} else {
			w.timestamp = max(w.timestamp, ns.MaxTS)
		}
		w.namespaces[i] = ns
	}
	if w.entry.HasTimestamp {
		w.timestamp = w.entry.Timestamp
	}
	return nil
}

// firstGeneration is the first generation of a namespace; 0 means that it has none.
const firstGeneration = 1

// lastOperations returns, in the order of (namespace, id), the operation that
// decides about each record: the last that names it.
func (w *syncWriter) lastOperations() []uint32 {
	ops, nsOf := w.entry.Operations, w.entry.nsOf
	order := make([]uint32, len(ops))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		if c := cmp.Compare(nsOf[a], nsOf[b]); c != 0 {
			return c
		}
		if c := strings.Compare(ops[a].ID, ops[b].ID); c != 0 {
			return c
		}
		return cmp.Compare(b, a) // the last one first, so that Compact keeps it
	})
	return slices.CompactFunc(order, func(a, b uint32) bool {
		return nsOf[a] == nsOf[b] && ops[a].ID == ops[b].ID
	})
}

// writeNamespace writes what the operations in last, one for each id and in the
// order of ids, make of a namespace.
func (w *syncWriter) writeNamespace(i int, last []uint32) error {
	ids := make([]string, len(last))
	for j, op := range last {
		ids[j] = w.entry.Operations[op].ID
	}
	n := &namespaceWriter{syncWriter: w, row: w.namespaces[i], ids: ids, last: last}
	write := n.incremental
	if w.entry.Mode == FullRefresh {
		write = n.fullRefresh
	}
	if err := write(); err != nil {
		return err
	}
	n.row.LastIndex, n.row.UpdatedAt = w.index, w.wall
	w.batch.PutNamespace(w.store, w.entry.names[i], n.row)
	return nil
}
