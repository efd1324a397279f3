package fsm

import (
	"errors"

	"pipesync/storage"
)

// maxSweepRows bounds the rows that one step of a sweep reads.
const maxSweepRows = 50_000

// Sweep is a pass over one namespace in search of tombstones that are due. It
// proposes nothing itself. It may be given up, and begun anew, at any time.
type Sweep struct {
	store      storage.StoreNum
	namespace  string
	generation storage.Generation
	before     int64
	after      string // the ids up to here are done with
	oldest     int64  // see Collect.Oldest
	done       bool
}

// Sweeps returns at most limit sweeps that are due at clusterTime. A namespace is
// due when its oldest tombstone has been there for the retention and an eighth of
// it: so each namespace is swept only so often, however steadily records are
// deleted from it.
func (v *View) Sweeps(clusterTime int64, limit int) ([]*Sweep, error) {
	set, found, err := v.snapshot.Settings()
	if err != nil || !found || set.TombstoneRetentionSeconds == 0 {
		return nil, err
	}
	now, keep := v.effective(clusterTime), retention(set)
	var due []*Sweep
	err = v.eachNamespace(func(store storage.StoreNum, name string, row storage.Namespace) error {
		if row.Tombstones == 0 || now-row.BuriedSince < keep+keep/8 {
			return nil
		}
		if pending, err := anyRetired(v.snapshot, store, row.Num); pending || err != nil {
			return err
		}
		due = append(due, &Sweep{
			store: store, namespace: name, generation: row.Live, before: now - keep,
			// Whatever the sweep won't have seen is buried later than this.
			oldest: max(v.system.ClusterTime, 1),
		})
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

func (v *View) eachStore(visit func(storage.StoreNum) error) error {
	return v.snapshot.ScanOrgs("", scanAll, func(_ string, o storage.Org) error {
		return v.snapshot.ScanStores(o.Num, "", scanAll, func(_ string, s storage.Store) error {
			return visit(s.Num)
		})
	})
}

func (v *View) eachNamespace(visit func(storage.StoreNum, string, storage.Namespace) error) error {
	return v.eachStore(func(s storage.StoreNum) error {
		return v.snapshot.ScanNamespaces(s, "", scanAll, func(name string, n storage.Namespace) error {
			return visit(s, name, n)
		})
	})
}

// Done says that the sweep is at its end: Next has nothing more to give.
func (s *Sweep) Done() bool { return s.done }

// Next goes on in v, a view that isn't older than the last, and returns the next
// command to propose, under a request id, or nil where this step found nothing.
// Each is to be applied before the next: the last one vouches for all that came
// before it.
func (s *Sweep) Next(v *View, id RequestID) (Command, error) {
	row, found, err := v.snapshot.Namespace(s.store, s.namespace)
	if err != nil {
		return nil, err
	}
	if !found || row.Live != s.generation {
		s.done = true
		return nil, nil
	}
	c := &Collect{RequestID: id, Store: s.store, Namespace: s.namespace, Generation: s.generation, Before: s.before, After: s.after}
	read, ranged := 0, 0
	err = v.snapshot.ScanFingerprints(s.store, row.Num, row.Live, s.after, maxSweepRows, func(id string, f storage.Fingerprint) error {
		read++
		switch {
		case f.Tombstone && f.BuriedAt <= s.before:
			c.Until = id
		case f.Tombstone:
			s.oldest = min(s.oldest, f.BuriedAt)
		}
		if c.Until == "" {
			c.After = id // the range begins before the first that is due
		} else {
			ranged++
		}
		s.after = id
		if ranged >= MaxCollectRows-1 {
			return errRangeEnds
		}
		return nil
	})
	switch {
	case errors.Is(err, errRangeEnds):
		return c, nil
	case err != nil:
		return nil, err
	case read < maxSweepRows:
		s.done = true
		c.Oldest = s.oldest
		return c, nil
	case c.Until == "":
		return nil, nil
	}
	return c, nil
}
