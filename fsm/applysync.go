package fsm

import (
	"fmt"
	"math/bits"

	"pipesync/storage"
)

func (e *syncEntry) decide(tx *transaction) (*Result, error) {
	if result, err := recallRequest(tx.db, e.RequestID, tx.system.ClusterTime); result != nil || err != nil {
		return result, err
	}
	h := Header{
		SyncID: e.SyncID, Org: e.Org, KeyID: e.KeyID, Store: e.Sync.Store, Mode: e.Mode,
		Timestamp: e.Timestamp, HasTimestamp: e.HasTimestamp, OnStale: e.OnStale, Checkpoint: e.Checkpoint, Idempotency: e.Idempotency, RawBytes: e.rawBytes,
	}
	check, err := checkSync(tx.db, &h, e.Outline(), Stamp{ClusterTime: tx.system.ClusterTime, WallTime: tx.wall})
	if err != nil {
		return nil, err
	}
	if check.outcome != OK {
		return check.result(&h, tx.index), nil
	}
	w, err := newSyncWriter(tx, e, &check)
	if err != nil {
		return nil, fmt.Errorf("plan sync: %w", err)
	}
	if check.outcome, err = w.plan(&check); err != nil {
		return nil, fmt.Errorf("plan sync: %w", err)
	}
	if check.outcome != OK {
		result := check.result(&h, tx.index)
		result.Sync.Losses = w.losses
		return result, nil
	}
	if err := check.window.admit(tx.db, tx.batch, uint64(e.rawBytes)); err != nil {
		return nil, err
	}
	result := check.result(&h, tx.index)
	w.result = result.Sync
	w.write()
	if err := w.record(&check, result); err != nil {
		return nil, fmt.Errorf("record sync: %w", err)
	}
	return result, tx.rememberRequest(e.RequestID, result)
}

// record puts the sync into the history, stores its checkpoint and remembers its
// idempotency key.
func (w *syncWriter) record(check *syncCheck, result *Result) error {
	if err := check.history.load(); err != nil {
		return err
	}
	w.storeCheckpoint(check)
	slots, err := check.keys.update(w.batch, w.entry.Idempotency, result, check.history)
	if err != nil {
		return err
	}
	row := storage.History{
		AppliedAt: w.wall, StoredAt: w.system.ClusterTime, KeyID: w.entry.KeyID, Store: w.entry.Store,
		Mode: byte(w.entry.Mode), Timestamp: w.timestamp,
	}
	if w.entry.Checkpoint != nil {
		row.Pipeline = w.entry.Checkpoint.Pipeline
	}
	if w.entry.Idempotency.given() {
		row.Keyed, row.KeySlot = true, slots.Next-1
	}
	setResult(&row, result.Sync)
	return check.history.add(w.batch, w.index, row, slots.First)
}

// syncWriter decides about the records of one sync and then, if the sync is
// admitted, writes them: plan reads and writes nothing, write reads nothing.
type syncWriter struct {
	*storeWriter
	entry     *syncEntry
	usage     *usageRows // plan makes it what it will be
	timestamp int64
	parts     []*namespaceWriter // in the order of entry.names
	// flipRows are how many rows of old generations may be gone through still.
	flipRows uint64
	result   *SyncResult
	losses   *Losses // of a sync that its guard refuses
}

func newSyncWriter(tx *transaction, e *syncEntry, check *syncCheck) (*syncWriter, error) {
	w := &syncWriter{entry: e, usage: check.usage, flipRows: tx.bounds.FlipRows}
	var err error
	if w.storeWriter, err = tx.write(check.store, len(e.Operations)); err != nil {
		return nil, err
	}
	w.changes = zeroed(e.memory.changes, len(e.Operations))
	e.memory.changes = w.changes
	e.memory.contents.prepare(len(e.Operations))
	return w, nil
}

// plan reads what the operations would overwrite, and decides about the sync.
func (w *syncWriter) plan(check *syncCheck) (Outcome, error) {
	rows := check.namespaces
	w.settleTimestamp(rows)
	last := w.entry.lastOperations()
	memory := w.entry.memory
	memory.old = zeroed(memory.old, len(last))
	old := memory.old
	for i := range rows {
		n := 0
		for n < len(last) && int(w.entry.nsOf[last[n]]) == i {
			n++
		}
		w.parts = append(w.parts, newNamespaceWriter(w, rows[i], last[:n], old[:n]))
		last, old = last[n:], old[n:]
	}
	outcome := OK
	for i, part := range w.parts {
		if err := part.read(); err != nil {
			return 0, fmt.Errorf("namespace %d of the entry: %w", i, err)
		}
		switch verdict := part.judge(); verdict {
		case OK:
			part.tally()
		case SyncTooOld, ReconcileBacklog: // what other namespaces decide comes first
			outcome = verdict
		case ContentsOmitted: // what is refused anyhow needs no contents
			if outcome == OK {
				outcome = verdict
			}
		default:
			return verdict, nil
		}
	}
	if outcome != OK {
		return outcome, nil
	}
	had := w.usage.inOrg
	for _, part := range w.parts {
		w.usage.move(usageOf(&part.row), part.after)
	}
	if check.excess = check.quotas.rows(had, w.usage.inOrg); check.excess != nil {
		return QuotaExceeded, nil
	}
	return w.guard(), nil
}

// guard decides about what the sync would remove.
func (w *syncWriter) guard() Outcome {
	if !w.entry.HasMaxDelete {
		return OK
	}
	l := Losses{Limit: w.entry.MaxDelete}
	for _, part := range w.parts {
		l.Live += part.row.Count
		l.Removed += part.removes()
	}
	if !l.over() {
		return OK
	}
	w.losses = &l
	return DeleteGuard
}

// over says whether what is removed is a larger part than it may be. Products of
// 64 bits are exact in 128.
func (l *Losses) over() bool {
	removedHigh, removedLow := bits.Mul64(l.Removed, AllDeleted)
	limitHigh, limitLow := bits.Mul64(l.Live, uint64(l.Limit))
	return removedHigh > limitHigh || removedHigh == limitHigh && removedLow > limitLow
}

// settleTimestamp gives a sync without a timestamp one that is older than
// nothing it may meet.
func (w *syncWriter) settleTimestamp(rows []storage.Namespace) {
	if w.entry.HasTimestamp {
		w.timestamp = w.entry.Timestamp
		return
	}
	w.timestamp = max(w.wall, 0)
	for i := range rows {
		w.timestamp = max(w.timestamp, rows[i].MaxTS)
	}
}

func (w *syncWriter) write() {
	w.countOperations()
	for i, part := range w.parts {
		before := part.row.Digest
		if part.row.Num == 0 {
			part.row.Num, part.row.Next = w.system.NextNamespace, firstGeneration
			part.row.Org = w.usage.org
			w.system.NextNamespace++
			w.batch.PutNamespaceName(w.store, part.row.Num, w.entry.names[i])
		}
		if w.entry.Mode == FullRefresh {
			part.fullRefresh()
		} else {
			part.incremental()
		}
		part.row.Count, part.row.Bytes, part.row.Tombstones = part.after.Records, part.after.Bytes, part.after.Tombstones
		part.row.Deleted = part.after.Namespaces == 0
		part.row.LastIndex, part.row.UpdatedAt = w.index, w.wall
		w.batch.PutNamespace(w.store, w.entry.names[i], part.row)
		w.usage.digest.replace(w.entry.names[i], before, part.row.Digest)
	}
	w.finish()
	if len(w.parts) > 0 {
		w.usage.settleDigests(w.entry.Org, w.entry.Sync.Store)
		w.usage.put(w.batch)
	}
}

// countOperations counts every operation by what became of it: those on an id
// that is skipped are all skipped, since they have one timestamp.
func (w *syncWriter) countOperations() {
	if len(w.parts) == 0 {
		return
	}
	by := make([]NamespaceCounts, len(w.parts))
	for i, name := range w.entry.names {
		by[i].Namespace = name
	}
	for i := range w.entry.Operations {
		op, ns := &w.entry.Operations[i], w.entry.nsOf[i]
		switch {
		case w.parts[ns].skipped[op.ID]:
			by[ns].Skipped++
		case op.Action == Upsert:
			by[ns].Upserted++
		default:
			by[ns].Deleted++
		}
	}
	for i := range by {
		w.result.Counts.Upserted += by[i].Upserted
		w.result.Counts.Deleted += by[i].Deleted
		w.result.Counts.Skipped += by[i].Skipped
	}
	w.result.ByNamespace = by
}

// firstGeneration is the first generation of a namespace; 0 means that it has none.
const firstGeneration = 1
