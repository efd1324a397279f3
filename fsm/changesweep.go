package fsm

import (
	"errors"
	"slices"

	"pipesync/storage"
)

const (
	// hasteSteps are between two looks at how much there is to remove: whoever goes through
	// much may meet more than there was when it began.
	hasteSteps = 64
	// A step goes through so many pieces of MaxCollectRows entries at most, to the first that has
	// something to remove. Whether one has, a random one of staleSample entries tells, and its
	// like: each look is for a record that may be anywhere. Those few that a pass leaves, another
	// one finds; of the last piece it leaves none.
	stepPieces  = 32
	staleSample = 32
)

// ChangeSweep is a pass over the change index of one store in search of entries
// that hold no longer. It may be given up, and begun anew, at any time.
type ChangeSweep struct {
	store storage.StoreNum
	after storage.Seq // the entries up to here are done with
	done  bool
	steps int
	haste uint64
}

// ChangeSweeps returns at most limit sweeps that are due. A store is due when half of its
// change index holds no longer, so that each entry that is removed costs two that are
// read, or when half of the bytes of its contents are superseded. While a generation is
// retired, the changes of its records hold still, and there is no telling.
func (v *View) ChangeSweeps(limit int) ([]*ChangeSweep, error) {
	var due []*ChangeSweep
	err := v.eachStore(func(store storage.StoreNum) error {
		if pending, err := anyRetired(v.snapshot, store, 0); err != nil || pending {
			return err
		}
		times, err := v.timesDue(store)
		if err != nil || times == 0 {
			return err
		}
		due = append(due, &ChangeSweep{store: store, haste: times})
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

// timesDue is how many times as much there is to remove of a store as makes a sweep due.
func (v *View) timesDue(store storage.StoreNum) (uint64, error) {
	head, err := v.snapshot.ChangeHead(store)
	if err != nil {
		return 0, err
	}
	var hold, live, superseded uint64
	err = v.snapshot.ScanNamespaces(store, "", scanAll, func(_ string, row storage.Namespace) error {
		hold += row.Count + row.Tombstones
		live += row.Bytes
		superseded += row.SupersededBytes
		return nil
	})
	bounds := &v.fsm.opts.Bounds
	stale := head.Entries - min(hold, head.Entries)
	return max(stale/max(bounds.StaleChanges, hold, 1), superseded/max(bounds.SupersededBytes, live, 1)), err
}

// Done says that the sweep is at its end: Next has nothing more to give.
func (s *ChangeSweep) Done() bool { return s.done }

// Haste is how many times as fast as usual the sweep is to go on: the square of how many times
// as much there is to remove as makes one due. So sweeps keep up with any number of updates
// that clients make, with not much more left than that.
func (s *ChangeSweep) Haste() uint64 { return max(s.haste*s.haste, 1) }

// Next goes on in v, a view that isn't older than the last, and returns the next
// command to propose, under a request id, or nil where this step found nothing. What
// it returned before needn't have been applied: no two have a change in common.
func (s *ChangeSweep) Next(v *View, id RequestID) (Command, error) {
	if s.steps++; s.steps%hasteSteps == 0 {
		times, err := v.timesDue(s.store)
		if err != nil {
			return nil, err
		}
		s.haste = max(s.haste, times)
	}
	for range stepPieces {
		list, err := scanChanges(v.snapshot, s.store, s.after, MaxCollectRows)
		if err != nil {
			return nil, err
		}
		from, step := 0, 1
		if s.done = len(list) < MaxCollectRows; !s.done {
			from, step = int(id[0]%staleSample), staleSample
		}
		some := pointers(list, from, step)
		if err := findNewest(v.snapshot, s.store, some); err != nil {
			return nil, err
		}
		after := s.after
		if len(list) > 0 {
			s.after = list[len(list)-1].seq
		}
		if slices.ContainsFunc(some, func(c *change) bool { return !c.holds() }) {
			return &ChangeCollect{RequestID: id, Store: s.store, After: after, Until: s.after}, nil
		}
		if s.done {
			break
		}
	}
	return nil, nil
}
