package storage

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// filterChunkKeys are read before any of them is added, so that whoever commits waits
// for no disk.
const filterChunkKeys = 1024

// Where a filter is made with pauses, one comes after each chunk, of so many times what the
// chunk took, until they have had so much time.
const (
	filterPauses    = 3
	maxFilterPauses = 3 * time.Second
)

var errClosing = errors.New("the database is being closed")

// filteredKinds are those of the rows that every sync looks for, and that are missing where it
// brings what is new: its records' fingerprints, and its request.
var filteredKinds = [...]kind{kindFingerprint, kindRequest}

// filters are the filter of a database's rows of filteredKinds, and the next one while that is
// being made: with what is there at some moment, and what is committed after. They are under
// the lock of the fingerprintTable.
type filters struct {
	size     int64 // in bytes, of each
	complete *fingerprintFilter
	building *fingerprintFilter
	// warms says that what building hasn't got is as it was when that was begun, so that
	// the table may know it.
	warms   bool
	scanned int           // keys that complete was made of
	wanted  bool          // by whoever looks for fingerprints, or is about to
	due     chan struct{} // of capacity 1
}

// hash is what complete has for a key; 0 without one.
func (f *filters) hash(key []byte) uint64 {
	if f.complete == nil {
		return 0
	}
	return f.complete.hash(key)
}

// touch reads what a look for a key begins with.
func (f *filters) touch(hash uint64) byte {
	if f.complete == nil {
		return 0
	}
	block, _ := f.complete.bits(hash)
	return block[0]
}

// add takes up a row that is being committed.
func (f *filters) add(key []byte, hash uint64) {
	if f.building != nil {
		f.building.add(f.building.hash(key))
	}
	if f.complete == nil {
		return
	}
	f.complete.add(hash)
	// What is gone is counted as well: a new filter has fewer keys, unless all of them are
	// still there. So one is made for each doubling.
	if f.building == nil && f.complete.full() && f.complete.added >= 2*f.scanned {
		f.makeDue()
	}
}

// remove takes up that a row goes. It stays in the filters, and is no longer as it was.
func (f *filters) remove(key []byte) {
	if f.building != nil {
		f.building.add(f.building.hash(key))
	}
}

// want has the first filter made.
func (f *filters) want() {
	if !f.wanted {
		f.wanted = true
		f.makeDue()
	}
}

func (f *filters) makeDue() {
	select {
	case f.due <- struct{}{}:
	default:
	}
}

func (f *filters) close() error {
	if f.complete == nil {
		return nil
	}
	return f.complete.close()
}

// mayHave is false only where there is no such row.
func (f *filters) mayHave(hash uint64) bool { return f.complete == nil || f.complete.mayHave(hash) }

// keepFilter makes a filter whenever one is due, until stop is closed. Without one
// everything goes on, slower: what can't be read is met by whoever needs it.
func (db *DB) keepFilter(stop <-chan struct{}) {
	for {
		select {
		case <-db.table.filters.due:
		case <-stop:
			return
		}
		if err := db.buildFilter(stop); err != nil && !errors.Is(err, errClosing) {
			db.events.log.Warn("no filter of fingerprints is made: syncs of new records are slower", "error", err)
		}
	}
}

// PrepareLookups has the filter of fingerprints made in the background, where there is none.
// The first that looks for fingerprints does so as well, and doesn't wait for it.
func (db *DB) PrepareLookups() {
	db.table.mu.Lock()
	defer db.table.mu.Unlock()
	db.table.filters.want()
}

func (db *DB) buildFilter(stop <-chan struct{}) error {
	next, state, err := db.beginFilter()
	if err != nil {
		return err
	}
	scanned, err := db.table.scan(state, next, newFilterPacing(db.patient), stop)
	return db.endFilter(next, scanned, errors.Join(err, state.Close()))
}

// beginFilter has a filter take up what is committed from now on; what is there by now is in the
// snapshot.
func (db *DB) beginFilter() (*fingerprintFilter, *pebble.Snapshot, error) {
	t := db.table
	next, err := newFingerprintFilter(t.filters.size)
	if err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.filters.building, t.filters.warms = next, !db.patient
	return next, db.pebble.NewSnapshot(), nil // nobody is committing
}

// endFilter has a filter, made of so many keys, take the place of the last one, unless it
// failed.
func (db *DB) endFilter(next *fingerprintFilter, scanned int, err error) error {
	t := db.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.filters.building, t.filters.warms = nil, false
	old := next
	if err == nil {
		old, t.filters.complete, t.filters.scanned = t.filters.complete, next, scanned
	}
	if old != nil {
		err = errors.Join(err, old.close())
	}
	return err
}

// scan adds the keys of all rows of filteredKinds to the filter that is being made, and has the
// table know fingerprints, as many as it has room for, while it warms.
func (t *fingerprintTable) scan(state pebble.Reader, to *fingerprintFilter, pauses *filterPacing, stop <-chan struct{}) (scanned int, err error) {
	for _, k := range filteredKinds {
		n, err := t.scanKind(state, k, to, pauses, stop)
		if err != nil {
			return 0, err
		}
		scanned += n
	}
	return scanned, nil
}

func (t *fingerprintTable) scanKind(state pebble.Reader, k kind, to *fingerprintFilter, pauses *filterPacing, stop <-chan struct{}) (scanned int, err error) {
	prefix := []byte{byte(k)}
	it, err := state.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: appendPrefixEnd(nil, prefix)})
	if err != nil {
		return 0, corruption(err)
	}
	defer closeIter(it, prefix, &err)
	chunk := scannedRows{fingerprints: k == kindFingerprint}
	began := time.Now()
	for more := it.First(); more || chunk.len() > 0; more = more && it.Next() {
		if more {
			value, err := it.ValueAndErr()
			if err != nil {
				return 0, corruption(err)
			}
			if chunk.add(it.Key(), value, to); chunk.len() < filterChunkKeys {
				continue
			}
		}
		if stopped := pauses.after(time.Since(began), stop); stopped {
			return 0, errClosing
		}
		began = time.Now()
		t.takeUpScanned(&chunk, to, scanned)
		scanned += chunk.len()
		chunk.clear()
	}
	return scanned, nil
}

// filterPacing is the pauses of one filter.
type filterPacing struct{ left time.Duration }

func newFilterPacing(patient bool) *filterPacing {
	if patient {
		return &filterPacing{left: maxFilterPauses}
	}
	return &filterPacing{}
}

// after pauses for as long as is right after a chunk that took so long. It says whether stop
// was closed by then.
func (p *filterPacing) after(took time.Duration, stop <-chan struct{}) (stopped bool) {
	pause := min(filterPauses*took, p.left)
	p.left -= pause
	over := time.NewTimer(pause)
	defer over.Stop()
	select {
	case <-over.C:
	case <-stop:
	}
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
