package fsm

import (
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
		if before(c.After, seq) && !before(c.Until, seq) && m.namespaces[change.namespace].changed[change.id] != seq {
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
		for id, seq := range ns.changed {
			c := Change{Seq: seq, Record: ns.live[id]}
			if tomb, dead := ns.tombstones[id]; dead {
				c.Deleted = true
				c.Record = Record{ID: id, Namespace: name, SyncTimestamp: tomb.timestamp, Index: seq.Index}
			}
			list = append(list, c)
		}
	}
	sort.Slice(list, func(i, j int) bool { return before(list[i].Seq, list[j].Seq) })
	return list
}
