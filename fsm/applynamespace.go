package fsm

import (
	"pipesync/internal/planted"
	"pipesync/storage"
)

// namespaceWriter decides about and writes the part of a sync that is in one
// namespace.
type namespaceWriter struct {
	*syncWriter
	row  storage.Namespace // before the entry; write makes it what it will be
	last []uint32          // in the order of ids, the operation that decides about each
	old  []oldRow          // of the same ids, in the generation live before the entry
	// skipped are the ids on which operations are stale; nil where there are none.
	skipped map[string]bool
	// before are the rows that a full refresh makes old; mayRetire says that it can.
	before    oldRows
	mayRetire bool
	// refreshed is what a full refresh brings.
	refreshed digestSum
	// after is what the namespace will have.
	after storage.Usage
}

// oldRow is a record's fingerprint before the entry.
type oldRow struct {
	storage.Fingerprint
	found bool
}

func (o *oldRow) live() bool { return o.found && !o.Tombstone }

// sameAs says that op leaves the record as it is.
func (o *oldRow) sameAs(op *Operation) bool {
	return o.found && o.Tombstone == (op.Action == Delete) && o.Hash == op.Hash
}

func newNamespaceWriter(w *syncWriter, row storage.Namespace, last []uint32, old []oldRow) *namespaceWriter {
	return &namespaceWriter{syncWriter: w, row: row, last: last, old: old}
}

// read fills in n.old.
func (n *namespaceWriter) read() error {
	if n.row.Live == 0 {
		n.before.known = true
		return nil
	}
	if n.entry.Mode == FullRefresh {
		if rows := n.row.Count + n.row.Tombstones; rows <= n.flipRows {
			n.flipRows -= rows
			return n.readWhole()
		}
		var err error
		if n.mayRetire, err = mayRetire(n.db, n.store, n.row.Num); err != nil {
			return err
		}
	}
	return n.db.Fingerprints(n.store, n.row.Num, n.row.Live, n.entry.idsOf(n.last),
		func(i int, f storage.Fingerprint, found bool) error {
			n.old[i] = oldRow{f, found}
			return nil
		})
}

// readWhole fills in n.old and n.before from all rows of the live generation.
func (n *namespaceWriter) readWhole() error {
	n.before.known = true
	rows, err := readGeneration(n.db, n.store, n.row.Num, n.row.Live, "", scanAll)
	at := 0
	for _, row := range rows {
		for at < len(n.last) && n.entry.Operations[n.last[at]].ID < row.id {
			at++
		}
		if at < len(n.last) && n.entry.Operations[n.last[at]].ID == row.id {
			n.old[at] = oldRow{row.Fingerprint, true}
			if n.entry.Operations[n.last[at]].Action == Upsert {
				continue
			}
		}
		n.before.gone = append(n.before.gone, row)
	}
	return err
}

// judge decides what the rows of records decide about a sync; checkOrder has
// admitted it.
func (n *namespaceWriter) judge() Outcome {
	if n.entry.Mode == FullRefresh {
		return n.judgeRefresh()
	}
	belowFloor := n.timestamp < n.row.Floor
	forgotten := n.entry.HasTimestamp && isForgotten(&n.row, n.timestamp)
	outcome := OK
	for i := range n.old {
		op, old := &n.entry.Operations[n.last[i]], &n.old[i]
		switch {
		case belowFloor, old.found && n.timestamp < old.SyncTimestamp:
			if n.entry.OnStale == RejectStale {
				return StaleSync
			}
			if n.skipped == nil {
				n.skipped = map[string]bool{}
			}
			n.skipped[op.ID] = true
		case forgotten && !old.found:
			outcome = SyncTooOld
		case outcome == OK && op.Omitted && !old.sameAs(op):
			outcome = ContentsOmitted
		}
	}
	return outcome
}

// judgeRefresh finds the pages of one refresh: each would remove the one before.
func (n *namespaceWriter) judgeRefresh() Outcome {
	for _, i := range n.last {
		if op := &n.entry.Operations[i]; op.Action == Upsert {
			n.refreshed.add(op.ID, op.Hash)
		}
	}
	if n.entry.HasTimestamp && n.row.Refreshed && n.timestamp == n.row.Floor &&
		n.refreshed.digest() != n.row.RefreshDigest {
		return RefreshTimestampReused
	}
	if !n.before.known && !n.mayRetire {
		return ReconcileBacklog
	}
	return OK
}

// removes counts the records that are live before the sync and gone after it.
func (n *namespaceWriter) removes() (removed uint64) {
	refresh := n.entry.Mode == FullRefresh
	if refresh {
		removed = n.row.Count
	}
	for at, i := range n.last {
		op := &n.entry.Operations[i]
		switch {
		case !n.old[at].live() || n.skipped[op.ID]:
		case refresh && op.Action == Upsert:
			removed--
		case !refresh && op.Action == Delete:
			removed++
		}
	}
	return removed
}

// tally fills in n.after.
func (n *namespaceWriter) tally() {
	n.after = usageOf(&n.row)
	if n.entry.Mode == FullRefresh {
		n.after = storage.Usage{Tombstones: uint64(len(n.before.gone))}
	}
	n.after.Namespaces = 1
	for at, i := range n.last {
		op, old := &n.entry.Operations[i], &n.old[at]
		switch {
		case n.entry.Mode == FullRefresh:
			if op.Action == Delete {
				continue
			}
		case n.skipped[op.ID] || old.sameAs(op):
			continue
		case old.live():
			n.after.Records--
			n.after.Bytes -= uint64(old.Size)
		case old.found:
			n.after.Tombstones--
		}
		if op.Action == Upsert {
			n.after.Records++
			n.after.Bytes += uint64(op.size())
		} else {
			n.after.Tombstones++
		}
	}
	if n.row.Deleted && n.after.Records == 0 {
		n.after.Namespaces = 0
	}
}

// incremental changes the live generation in place.
func (n *namespaceWriter) incremental() {
	digest := newDigestSum(n.row.Digest)
	if n.row.Live == 0 {
		n.row.Live, n.row.Next = n.row.Next, n.row.Next+1
	}
	for at, i := range n.last {
		op, old := &n.entry.Operations[i], &n.old[at]
		if n.skipped[op.ID] {
			continue
		}
		if old.sameAs(op) {
			n.result.Details.Unchanged++
			n.restamp(op.ID, old.Fingerprint)
			continue
		}
		if old.live() {
			digest.remove(op.ID, old.Hash)
			n.supersede(op, old.Fingerprint)
		}
		if op.Action == Upsert {
			digest.add(op.ID, op.Hash)
			n.put(n.row.Live, i, n.noteChange(i))
		} else {
			n.bury(i)
		}
		n.countChange(op.Action, old.live())
	}
	n.putContents(n.row.Live)
	n.row.Digest = digest.digest()
	n.row.MaxTS = max(n.row.MaxTS, n.timestamp)
}

// supersede says what becomes of the content of a record that has another one now, or
// none. What was deleted goes at once. What was replaced goes with its change, side by side
// with others: tombstones all over the contents would have them merged again and again
// (ADR 35).
func (n *namespaceWriter) supersede(op *Operation, old storage.Fingerprint) {
	if op.Action == Delete {
		n.batch.DeleteContent(n.store, n.row.Num, n.row.Live, old.Changed)
		return
	}
	n.row.Superseded++
	n.row.SupersededBytes += uint64(old.Size) - uint64(len(op.ID))
}

// restamp moves an unchanged row to the sync's timestamp, if that is newer.
func (n *namespaceWriter) restamp(id string, f storage.Fingerprint) {
	if f.SyncTimestamp == n.timestamp || planted.Is(planted.UnchangedUnstamped) {
		return
	}
	f.SyncTimestamp = n.timestamp
	if f.Tombstone {
		f.BuriedAt = n.system.ClusterTime
	}
	n.batch.PutFingerprint(n.store, n.row.Num, n.row.Live, id, f)
}

// bury writes the tombstone of operation i, where there is none.
func (n *namespaceWriter) bury(i uint32) {
	id := n.entry.Operations[i].ID
	n.putTombstone(&n.row, id, storage.Fingerprint{
		SyncTimestamp: n.timestamp,
		Changed:       n.noteChange(i),
		Tombstone:     true,
		BuriedAt:      n.system.ClusterTime,
	})
	if planted.Is(planted.NoTombstone) {
		n.batch.DeleteFingerprint(n.store, n.row.Num, n.row.Live, id)
	}
}

// countChange adds one id to the details. A delete of an id that wasn't live
// has no net effect, even though it writes a tombstone.
func (n *namespaceWriter) countChange(a Action, live bool) {
	d := &n.result.Details
	switch {
	case a == Upsert && live:
		d.Updated++
	case a == Upsert:
		d.Created++
	case live:
		d.Removed++
	default:
		d.Unchanged++
	}
}

// fullRefresh writes a new generation with nothing but the operations' records,
// and makes it the live one.
func (n *namespaceWriter) fullRefresh() {
	d := &n.result.Details
	d.Removed += n.removes()
	for at, i := range n.last {
		op, old := &n.entry.Operations[i], &n.old[at]
		if op.Action == Delete {
			if !old.live() {
				d.Unchanged++
			}
			continue // what was live is counted as removed
		}
		if old.live() && old.Hash == op.Hash {
			n.put(n.row.Next, i, old.Changed)
			d.Unchanged++
		} else {
			n.put(n.row.Next, i, n.noteChange(i))
			n.countChange(Upsert, old.live())
		}
	}
	n.putContents(n.row.Next)
	n.flip(&n.row, n.timestamp, n.before)
	n.row.Digest = n.refreshed.digest()
	n.row.Refreshed, n.row.RefreshDigest = n.entry.HasTimestamp, storage.Digest{}
	if n.row.Refreshed {
		n.row.RefreshDigest = n.row.Digest
	}
}

// noteChange enters the record of operation i into the change index.
func (n *namespaceWriter) noteChange(i uint32) storage.Seq {
	seq := storage.Seq{Index: n.index, Offset: i}
	return n.addChange(seq, n.row.Num, n.entry.Operations[i].ID)
}

// put writes operation i's record, but for its content, which putContents does.
func (n *namespaceWriter) put(g storage.Generation, i uint32, seq storage.Seq) {
	op := &n.entry.Operations[i]
	n.batch.PutFingerprint(n.store, n.row.Num, g, op.ID, storage.Fingerprint{
		Hash:          op.Hash,
		SyncTimestamp: n.timestamp,
		Changed:       seq,
		Size:          op.size(),
	})
	n.entry.memory.contents.add(i, seq)
}

// putContents writes the contents in the order of their operations: that is that of their
// keys, while records come in the order of ids, and Pebble takes up what ascends faster.
func (n *namespaceWriter) putContents(g storage.Generation) {
	n.entry.memory.contents.take(func(i uint32, seq storage.Seq) {
		op := &n.entry.Operations[i]
		n.batch.PutContent(n.store, n.row.Num, g, seq, storage.Content{
			Data:         op.Data,
			File:         op.File,
			SourceSystem: op.SourceSystem,
			CreatedAt:    op.CreatedAt,
			UpdatedAt:    op.UpdatedAt,
			SyncID:       n.entry.SyncID,
		})
	})
}
