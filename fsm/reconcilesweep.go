package fsm

import (
	"fmt"

	"pipesync/storage"
)

// ReconcileSweep goes through one retired generation. It may be given up, and begun
// anew, at any time.
type ReconcileSweep struct {
	store      storage.StoreNum
	namespace  storage.NamespaceNum
	generation storage.Generation
	done       bool
}

// ReconcileSweeps returns at most limit of them, one for each retired generation.
func (v *View) ReconcileSweeps(limit int) ([]*ReconcileSweep, error) {
	var due []*ReconcileSweep
	err := v.snapshot.ScanRetired(0, 0, limit, func(store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation) error {
		due = append(due, &ReconcileSweep{store: store, namespace: ns, generation: gen})
		return nil
	})
	return due, err
}

// Done says that the sweep is at its end: Next has nothing more to give.
func (s *ReconcileSweep) Done() bool { return s.done }

// Next returns the next command to propose, under a request id, or nil where
// nothing is left of the generation in v.
func (s *ReconcileSweep) Next(v *View, id RequestID) (Command, error) {
	_, found, err := v.snapshot.Retired(s.store, s.namespace, s.generation)
	if err != nil || !found {
		s.done = true
		return nil, err
	}
	name, found, err := v.snapshot.NamespaceName(s.store, s.namespace)
	if err == nil && !found {
		err = fmt.Errorf("%w: namespace %d has a retired generation, and no name", storage.ErrCorrupt, s.namespace)
	}
	if err != nil {
		return nil, err
	}
	row, found, err := v.snapshot.Namespace(s.store, name)
	if err == nil && found {
		s.done, err = v.snapshot.OrgDeleted(row.Org)
	}
	if err != nil || s.done {
		return nil, err
	}
	return &Reconcile{RequestID: id, Store: s.store, Namespace: name, Generation: s.generation}, nil
}
