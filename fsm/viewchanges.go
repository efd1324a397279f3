package fsm

import (
	"fmt"
	"math"

	"pipesync/storage"
)

const (
	// maxChangeRows bounds the entries of the change index that one page looks at.
	maxChangeRows = 2000
	// maxChangesBytes of content end a page of changes; the change that goes over
	// it is in it.
	maxChangesBytes = 8 << 20
)

// Cursor is how far somebody has come who folds the changes of a store: an upsert
// replaces the record, a delete removes it. The zero Cursor is the beginning.
type Cursor struct {
	// Since is the Raft index of the view in which it all began. What was deleted
	// up to then has never been seen.
	Since uint64
	// After is the seq up to which all changes have been read.
	After storage.Seq
	// Seen is the Raft index of the newest view that was read. In an older one a
	// record may still have the change that this one no longer showed, up to After.
	Seen uint64
}

// Index is what a node must have applied before it can go on from here.
func (c Cursor) Index() uint64 { return max(c.Since, c.After.Index, c.Seen) }

// Change is the latest change of one record. Of a deleted one there is no more
// than namespace, id, timestamp and index.
type Change struct {
	Seq     storage.Seq
	Deleted bool
	Record
}

// ChangePage is a piece of the changes of a store. It may have none, and not be
// the last.
type ChangePage struct {
	Changes []Change // in the order of seqs
	Next    Cursor
	// CaughtUp says that whoever has folded everything up to Next has exactly the
	// live records of the store as the view has them.
	CaughtUp bool
	// Reconciling says that some of what a flip removed is still to come.
	Reconciling bool
	// Horizon is the oldest seq from which nothing is missing: what was deleted up
	// to here may be gone from the index. It is no older than the store.
	Horizon storage.Seq
}

// Changes gives the changes of a store behind a cursor, at most limit, which must
// be positive. Its error matches ErrStoreNotFound; ErrCursorCompacted where
// deletions behind the cursor are no longer known; or ErrCursorAhead where the
// view is older than the cursor.
func (v *View) Changes(org, store string, from Cursor, limit int) (*ChangePage, error) {
	s, err := v.findStore(org, store)
	if err != nil {
		return nil, err
	}
	if from.Index() > v.system.AppliedIndex {
		return nil, ErrCursorAhead
	}
	head, err := v.snapshot.ChangeHead(s.Num)
	if err != nil {
		return nil, err
	}
	if from == (Cursor{}) {
		from.Since = v.system.AppliedIndex
	}
	if from.After.Compare(head.Horizon) < 0 && from.Since < head.Horizon.Index {
		return nil, ErrCursorCompacted
	}
	list, err := readChanges(v.snapshot, s.Num, from.After, maxChangeRows)
	if err != nil {
		return nil, err
	}
	page := &ChangePage{Next: from, Horizon: head.Horizon}
	page.Next.Seen = v.system.AppliedIndex
	if page.Reconciling, err = anyRetired(v.snapshot, s.Num, 0); err != nil {
		return nil, err
	}
	for i, bytes := 0, 0; i < len(list); i++ {
		if len(page.Changes) >= limit || bytes >= maxChangesBytes {
			return page, nil
		}
		page.Next.After = list[i].seq
		if !list[i].shows() {
			continue
		}
		c, err := v.change(s.Num, &list[i])
		if err != nil {
			return nil, err
		}
		page.Changes = append(page.Changes, c)
		bytes += len(c.Data) + len(c.File)
	}
	if len(list) < maxChangeRows {
		page.Next.After = storage.Seq{Index: v.system.AppliedIndex, Offset: math.MaxUint32}
		page.CaughtUp = !page.Reconciling
	}
	return page, nil
}

// change is an entry that shows.
func (v *View) change(store storage.StoreNum, c *change) (Change, error) {
	out := Change{Seq: c.seq, Deleted: c.newest.Tombstone}
	var content storage.Content
	if !out.Deleted {
		_, r, found, err := v.snapshot.Record(store, c.Namespace, c.namespace.row.Live, c.ID)
		if err == nil && !found {
			err = fmt.Errorf("%w: a live record has no content", storage.ErrCorrupt)
		}
		if err != nil {
			return Change{}, err
		}
		content = r
	}
	out.Record = newRecord(c.namespace.name, c.ID, c.newest, content)
	return out, nil
}
