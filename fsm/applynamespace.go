package fsm

import "pipesync/storage"

// namespaceWriter writes the part of a sync that is in one namespace.
type namespaceWriter struct {
	*syncWriter
	row  storage.Namespace // as it will be
	ids  []string          // distinct, ascending
	last []uint32          // for each id the operation that decides about it
}

// fingerprints visits the rows of n.ids in the generation that was live before
// the entry.
func (n *namespaceWriter) fingerprints(visit func(op uint32, f storage.Fingerprint, found bool)) error {
	if n.row.Live == 0 {
		for _, op := range n.last {
			visit(op, storage.Fingerprint{}, false)
		}
		return nil
	}
	return n.db.Fingerprints(n.store, n.row.Num, n.row.Live, n.ids,
		func(i int, f storage.Fingerprint, found bool) error {
			visit(n.last[i], f, found)
			return nil
		})
}

// incremental changes the live generation in place.
func (n *namespaceWriter) incremental() error {
	digest := newDigestSum(n.row.Digest)
	generation := n.row.Live
	if generation == 0 {
		generation = n.row.Next
	}
	err := n.fingerprints(func(i uint32, old storage.Fingerprint, found bool) {
		op := &n.entry.Operations[i]
		if found && old.Tombstone == (op.Action == Delete) && old.Hash == op.Hash {
			n.result.Details.Unchanged++
			n.restamp(generation, op.ID, old)
			return
		}
		live := found && !old.Tombstone
		if live {
			digest.remove(op.ID, old.Hash)
			n.row.Count--
		}
		if op.Action == Upsert {
			digest.add(op.ID, op.Hash)
			n.row.Count++
			n.put(generation, i, storage.Seq{Index: n.index, Offset: i})
		} else {
			n.bury(generation, i, live)
		}
		n.countChange(op.Action, live)
	})
	if generation == n.row.Next {
		n.row.Live, n.row.Next = generation, generation+1
	}
	n.row.Digest = digest.digest()
	n.row.MaxTS = max(n.row.MaxTS, n.timestamp)
	return err
}

// restamp moves an unchanged row to the sync's timestamp, if that differs.
func (n *namespaceWriter) restamp(g storage.Generation, id string, f storage.Fingerprint) {
	if f.SyncTimestamp != n.timestamp {
		f.SyncTimestamp = n.timestamp
		n.batch.PutFingerprint(n.store, n.row.Num, g, id, f)
	}
}

// bury writes the tombstone of operation i.
func (n *namespaceWriter) bury(g storage.Generation, i uint32, live bool) {
	id := n.entry.Operations[i].ID
	n.batch.PutFingerprint(n.store, n.row.Num, g, id, storage.Fingerprint{
		SyncTimestamp: n.timestamp,
		Changed:       storage.Seq{Index: n.index, Offset: i},
		Tombstone:     true,
	})
	if live {
		n.batch.DeleteContent(n.store, n.row.Num, g, id)
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
// and makes it the live one. The floor does what tombstones would.
func (n *namespaceWriter) fullRefresh() error {
	var digest digestSum
	var count, kept uint64
	d := &n.result.Details
	err := n.fingerprints(func(i uint32, old storage.Fingerprint, found bool) {
		op := &n.entry.Operations[i]
		live := found && !old.Tombstone
		if op.Action == Delete {
			if !live {
				d.Unchanged++
			}
			return // what was live is counted as removed below
		}
		seq := storage.Seq{Index: n.index, Offset: i}
		if live {
			kept++
		}
		if live && old.Hash == op.Hash {
			seq = old.Changed
			d.Unchanged++
		} else {
			n.countChange(Upsert, live)
		}
		count++
		digest.add(op.ID, op.Hash)
		n.put(n.row.Next, i, seq)
	})
	d.Removed += n.row.Count - kept
	if n.row.Live != 0 {
		n.batch.DropGeneration(n.store, n.row.Num, n.row.Live)
	}
	n.row.Live = n.row.Next
	n.row.Next++
	n.row.Count, n.row.Digest = count, digest.digest()
	n.row.MaxTS, n.row.Floor = n.timestamp, n.timestamp
	return err
}

// put writes both rows of operation i's record.
func (n *namespaceWriter) put(g storage.Generation, i uint32, seq storage.Seq) {
	op := &n.entry.Operations[i]
	n.batch.PutFingerprint(n.store, n.row.Num, g, op.ID, storage.Fingerprint{
		Hash:          op.Hash,
		SyncTimestamp: n.timestamp,
		Changed:       seq,
	})
	n.batch.PutContent(n.store, n.row.Num, g, op.ID, storage.Content{
		Data:         op.Data,
		File:         op.File,
		SourceSystem: op.SourceSystem,
		CreatedAt:    op.CreatedAt,
		UpdatedAt:    op.UpdatedAt,
		SyncID:       n.entry.SyncID,
	})
}
