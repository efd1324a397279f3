package fsm

import (
	"maps"
	"slices"
	"sort"

	"pipesync/storage"
)

// modelChange is what a row of the change index names.
type modelChange struct{ namespace, id string }

// change enters what s has changed into the change index.
func (m *model) change(s *Sync, index uint64, name string, was *modelNamespace) {
	ns := m.namespaces[name]
	ns.changed = map[string]storage.Seq{}
	kept := map[string]bool{}
	for id, seq := range was.changed {
		before, live := was.live[id]
		after, lives := ns.live[id]
		_, dead := ns.tombstones[id]
		if live && lives && before.Hash == after.Hash || !live && dead {
			ns.changed[id], kept[id] = seq, true
		}
	}
	for i, op := range s.Operations {
		if op.Namespace == name && !kept[op.ID] && ns.has(op.ID) {
			ns.changed[op.ID] = storage.Seq{Index: index, Offset: uint32(i)}
		}
	}
	for id, seq := range ns.changed {
		m.changes[seq] = modelChange{name, id}
	}
}

// changesCollect is a ChangeCollect that looks at fewer rows than it may.
func (m *model) changesCollect(c *ChangeCollect, stamp Stamp) {
	m.clusterTime = max(m.clusterTime, stamp.ClusterTime)
	for seq, change := range m.changes {
		row, _ := m.namespaces[change.namespace].newest(change.id)
		if before(c.After, seq) && !before(c.Until, seq) && row.changed != seq {
			delete(m.changes, seq)
		}
	}
}

func before(a, b storage.Seq) bool {
	return a.Index < b.Index || a.Index == b.Index && a.Offset < b.Offset
}

// feed is what somebody who reads all changes gets.
func (m *model) feed() []Change {
	var list []Change
	for name, ns := range m.namespaces {
		for _, id := range dumpIDs {
			row, live := ns.newest(id)
			c := Change{Seq: row.changed, Record: ns.live[id]}
			if row.dead {
				c.Deleted = true
				c.Record = Record{ID: id, Namespace: name, SyncTimestamp: row.tomb.timestamp, Index: row.changed.Index}
			} else if !live {
				continue
			}
			list = append(list, c)
		}
	}
	sort.Slice(list, func(i, j int) bool { return before(list[i].Seq, list[j].Seq) })
	return list
}

// modelGeneration is what a reconcile has to go through.
type modelGeneration struct {
	number storage.Generation
	rows   map[string]modelRow
}

type modelRow struct {
	changed storage.Seq
	dead    bool
	tomb    modelTombstone
	was     Record
}

// rows are those of the live generation.
func (ns *modelNamespace) rows() map[string]modelRow {
	rows := map[string]modelRow{}
	for id, rec := range ns.live {
		rows[id] = modelRow{changed: ns.changed[id], was: rec}
	}
	for id, tomb := range ns.tombstones {
		rows[id] = modelRow{changed: ns.changed[id], dead: true, tomb: tomb}
	}
	return rows
}

// newest is the newest row of an id, and whether it is a live record.
func (ns *modelNamespace) newest(id string) (row modelRow, live bool) {
	if row, found := ns.rows()[id]; found {
		return row, !row.dead
	}
	for _, g := range slices.Backward(ns.retired) {
		if row, found := g.rows[id]; found {
			return row, false
		}
	}
	return modelRow{}, false
}

// modelFlips are the flips of one sync.
type modelFlips struct {
	index  uint64
	offset uint32 // the next that no operation has
	rows   int    // that may be gone through still
}

// flip comes after the new generation has its records.
func (m *model) flip(f *modelFlips, name string, was *modelNamespace) {
	ns, old := m.namespaces[name], was.rows()
	if len(old) > f.rows {
		ns.retired = append(ns.retired, modelGeneration{was.generation, old})
		return
	}
	f.rows -= len(old)
	for _, id := range slices.Sorted(maps.Keys(old)) {
		if !ns.has(id) {
			m.leave(f, name, id, old[id])
		}
	}
}

// leave has a row that is gone leave a tombstone.
func (m *model) leave(f *modelFlips, name, id string, row modelRow) {
	ns := m.namespaces[name]
	if !row.dead {
		row = modelRow{changed: storage.Seq{Index: f.index, Offset: f.offset}, tomb: modelTombstone{ns.floor, m.clusterTime}}
		f.offset++
		m.changes[row.changed] = modelChange{name, id}
	}
	ns.tombstones[id], ns.changed[id] = row.tomb, row.changed
}

// backlog refuses a flip for which no generation can be retired.
func (m *model) backlog(s *Sync) Outcome {
	if s.Mode != FullRefresh {
		return OK
	}
	rows := int(testBounds.FlipRows)
	for _, name := range s.Outline().Namespaces {
		ns := m.namespaces[name]
		if ns == nil {
			continue
		}
		switch n := len(ns.live) + len(ns.tombstones); {
		case n <= rows:
			rows -= n
		case len(ns.retired) >= 4:
			return ReconcileBacklog
		}
	}
	return OK
}

// delete empties a namespace of the model's store.
func (m *model) delete(c *NamespaceDelete, index uint64, stamp Stamp) Outcome {
	m.clusterTime = max(m.clusterTime, stamp.ClusterTime)
	ns := m.namespaces[c.Namespace]
	key := m.apiKeys[c.KeyID]
	if outcome := key.usable(stamp.WallTime); outcome != OK {
		return outcome
	}
	switch {
	case !key.deletes(c):
		return KeyScopeDenied
	case ns == nil || ns.deleted:
		return NamespaceNotFound
	case len(ns.live)+len(ns.tombstones) > int(testBounds.FlipRows) && len(ns.retired) >= 4:
		return ReconcileBacklog
	}
	was := *ns
	ns.live, ns.tombstones, ns.changed = map[string]Record{}, map[string]modelTombstone{}, map[string]storage.Seq{}
	ns.floor, ns.refreshed, ns.deleted = ns.maxTS, nil, true
	ns.generation++
	ns.lastIndex, ns.updatedAt = index, stamp.WallTime
	m.flip(&modelFlips{index: index, rows: int(testBounds.FlipRows)}, c.Namespace, &was)
	return OK
}

func (m *model) reconcile(c *Reconcile, index uint64, stamp Stamp) {
	m.clusterTime = max(m.clusterTime, stamp.ClusterTime)
	ns := m.namespaces[c.Namespace]
	if ns == nil {
		return
	}
	at := slices.IndexFunc(ns.retired, func(g modelGeneration) bool { return g.number == c.Generation })
	if at < 0 {
		return
	}
	g, f := ns.retired[at], modelFlips{index: index}
	ids := slices.Sorted(maps.Keys(g.rows))
	ids = ids[:min(len(ids), testBounds.ReconcileRows)]
	for _, id := range ids {
		newer := slices.ContainsFunc(ns.retired[at+1:], func(g modelGeneration) bool { _, found := g.rows[id]; return found })
		if !newer && !ns.has(id) {
			m.leave(&f, c.Namespace, id, g.rows[id])
		}
		delete(g.rows, id)
	}
	if len(ids) < testBounds.ReconcileRows {
		ns.retired = slices.Delete(ns.retired, at, at+1)
	}
}

func (m *model) reconciling() bool {
	for _, ns := range m.namespaces {
		if len(ns.retired) > 0 {
			return true
		}
	}
	return false
}
