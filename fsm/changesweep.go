package fsm

import (
	"errors"

	"pipesync/storage"
)

// ChangeSweep is a pass over the change index of one store in search of entries
// that hold no longer. It may be given up, and begun anew, at any time.
type ChangeSweep struct {
	store storage.StoreNum
	after storage.Seq // the entries up to here are done with
	done  bool
	held  uint64 // entries that held when it began, or the fewest that make one due
	haste uint64
}

// ChangeSweeps returns at most limit sweeps that are due. A store is due when half of its
// change index holds no longer, so that each entry that is removed costs two that are
// read, or when half of the bytes of its contents are superseded. While a generation is
// retired, the changes of its records hold still, and there is no telling.
func (v *View) ChangeSweeps(limit int) ([]*ChangeSweep, error) {
	var due []*ChangeSweep
	bounds := &v.fsm.opts.Bounds
	err := v.eachStore(func(store storage.StoreNum) error {
		if pending, err := anyRetired(v.snapshot, store, 0); err != nil || pending {
			return err
		}
		head, err := v.snapshot.ChangeHead(store)
		if err != nil {
			return err
		}
		var hold, live, superseded uint64
		err = v.snapshot.ScanNamespaces(store, "", scanAll, func(_ string, row storage.Namespace) error {
			hold += row.Count + row.Tombstones
			live += row.Bytes
			superseded += row.SupersededBytes
			return nil
		})
		stale := head.Entries - hold
		if err != nil || stale < max(bounds.StaleChanges, hold) && superseded < max(bounds.SupersededBytes, live) {
			return err
		}
		s := &ChangeSweep{store: store, held: max(bounds.StaleChanges, hold), haste: superseded / max(bounds.SupersededBytes, live, 1)}
		s.hurry(head)
		due = append(due, s)
		if len(due) >= limit {
			return errListFull
		}
		return nil
	})
	if errors.Is(err, errListFull) {
		err = nil
	}
	return due, err
}

// Done says that the sweep is at its end: Next has nothing more to give.
func (s *ChangeSweep) Done() bool { return s.done }

// hurry takes note of how much there is to remove.
func (s *ChangeSweep) hurry(head storage.ChangeHead) {
	s.haste = max(s.haste, (head.Entries-min(s.held, head.Entries))/max(s.held, 1))
}

// Haste is how many times as fast as usual the sweep is to go on: the square of how many times
// as much there is to remove as makes one due. So sweeps keep up with any number of updates
// that clients make, with not much more left than that.
func (s *ChangeSweep) Haste() uint64 { return max(s.haste*s.haste, 1) }

// Next goes on in v, a view that isn't older than the last, and returns the next
// command to propose, under a request id, or nil where this step found nothing.
func (s *ChangeSweep) Next(v *View, id RequestID) (Command, error) {
	list, err := readChanges(v.snapshot, s.store, s.after, MaxCollectRows)
	if err != nil {
		return nil, err
	}
	head, err := v.snapshot.ChangeHead(s.store)
	if err != nil {
		return nil, err
	}
	s.hurry(head)
	s.done = len(list) < MaxCollectRows
	c := &ChangeCollect{RequestID: id, Store: s.store, After: s.after}
	for i := range list {
		s.after = list[i].seq
		if !list[i].holds() {
			c.Until = list[i].seq
		}
	}
	if c.Until == (storage.Seq{}) {
		return nil, nil
	}
	return c, nil
}
