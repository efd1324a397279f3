package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"slices"
	"sort"

	"pipesync/storage"
)

// model is the state machine in plain maps, for one organization with one key
// and one store: written for clarity, sharing no code with what it checks.
type model struct {
	limit       int
	clusterTime int64
	admitted    []int64 // cluster times
	revoked     bool
	namespaces  map[string]*modelNamespace
}

type modelNamespace struct {
	generation storage.Generation
	maxTS      int64
	floor      int64
	lastIndex  uint64
	updatedAt  int64
	live       map[string]Record // by id
	tombstones map[string]bool
}

func newModel(limit int) *model {
	return &model{limit: limit, namespaces: map[string]*modelNamespace{}}
}

func (m *model) window(now int64) (counted int, oldest int64) {
	for _, at := range m.admitted {
		if at > now-windowLen*nanosPerMilli {
			if counted == 0 {
				oldest = at
			}
			counted++
		}
	}
	return counted, oldest
}

func (m *model) windowResult() Window {
	w := Window{Limit: uint32(m.limit), WindowMillis: windowLen}
	counted, oldest := m.window(m.clusterTime)
	w.Remaining = uint32(m.limit - counted)
	if counted > 0 {
		nanos := oldest + windowLen*nanosPerMilli - m.clusterTime
		w.ResetMillis = uint32((nanos + nanosPerMilli - 1) / nanosPerMilli)
	}
	return w
}

func (m *model) sync(s *Sync, index uint64, stamp Stamp) *Result {
	m.clusterTime = max(m.clusterTime, stamp.ClusterTime)
	result := &Result{Outcome: OK, Index: index, Sync: &SyncResult{SyncID: s.SyncID}}
	if m.revoked {
		result.Outcome = KeyRevoked
		return result
	}
	if counted, _ := m.window(m.clusterTime); counted >= m.limit {
		result.Outcome = RateLimited
		result.Sync.Window = m.windowResult()
		return result
	}
	m.admitted = append(m.admitted, m.clusterTime)
	result.Sync.Window = m.windowResult()
	names := m.name(s, result.Sync)
	ts := stamp.WallTime
	for _, name := range names {
		ts = max(ts, m.namespaces[name].maxTS)
	}
	if s.HasTimestamp {
		ts = s.Timestamp
	}
	for _, name := range names {
		ns := m.namespaces[name]
		old := ns.live
		want := m.outcome(s, index, ts, name)
		compare(&result.Sync.Details, s, name, old, want)
		ns.live = want
		ns.lastIndex, ns.updatedAt = index, stamp.WallTime
		ns.maxTS = max(ns.maxTS, ts)
		if s.Mode == FullRefresh {
			ns.generation++
			ns.maxTS, ns.floor = ts, ts
			ns.tombstones = map[string]bool{}
		}
	}
	return result
}

// name counts the operations and makes missing namespaces.
func (m *model) name(s *Sync, out *SyncResult) []string {
	var names []string
	for _, op := range s.Operations {
		i := slices.Index(names, op.Namespace)
		if i < 0 {
			i = len(names)
			names = append(names, op.Namespace)
			out.ByNamespace = append(out.ByNamespace, NamespaceCounts{Namespace: op.Namespace})
		}
		if op.Action == Upsert {
			out.Counts.Upserted++
			out.ByNamespace[i].Upserted++
		} else {
			out.Counts.Deleted++
			out.ByNamespace[i].Deleted++
		}
		if m.namespaces[op.Namespace] == nil {
			ns := &modelNamespace{live: map[string]Record{}, tombstones: map[string]bool{}, generation: 1}
			if s.Mode == FullRefresh {
				ns.generation = 0
			}
			m.namespaces[op.Namespace] = ns
		}
	}
	return names
}

// outcome is what a namespace holds after s, one operation after another.
func (m *model) outcome(s *Sync, index uint64, ts int64, name string) map[string]Record {
	ns := m.namespaces[name]
	want := map[string]Record{}
	if s.Mode == Incremental {
		for id, rec := range ns.live {
			want[id] = rec
		}
	}
	for _, op := range s.Operations {
		if op.Namespace != name {
			continue
		}
		delete(want, op.ID)
		if op.Action == Delete {
			ns.tombstones[op.ID] = true
			continue
		}
		rec := Record{ID: op.ID, Namespace: name, Data: op.Data, SyncTimestamp: ts, SyncID: s.SyncID, Hash: op.Hash, Index: index}
		if old, ok := ns.live[op.ID]; ok && old.Hash == op.Hash {
			rec.Index = old.Index
			if s.Mode == Incremental {
				rec.SyncID = old.SyncID
			}
		}
		want[op.ID] = rec
		delete(ns.tombstones, op.ID)
	}
	return want
}

// compare counts net effects on distinct ids.
func compare(d *Details, s *Sync, name string, old, now map[string]Record) {
	for id := range old {
		if _, ok := now[id]; !ok {
			d.Removed++
		}
	}
	seen := map[string]bool{}
	for _, op := range s.Operations {
		if op.Namespace != name || seen[op.ID] {
			continue
		}
		seen[op.ID] = true
		before, was := old[op.ID]
		after, is := now[op.ID]
		switch {
		case !was && is:
			d.Created++
		case was && is && before.Hash != after.Hash:
			d.Updated++
		case was == is:
			d.Unchanged++
		}
	}
}

func (ns *modelNamespace) info(name string) NamespaceInfo {
	return NamespaceInfo{
		Name: name, Records: uint64(len(ns.live)), Digest: modelDigest(ns.live),
		Generation: ns.generation, Index: ns.lastIndex, UpdatedAt: ns.updatedAt,
	}
}

func (ns *modelNamespace) records() []Record {
	var list []Record
	for _, rec := range ns.live {
		list = append(list, rec)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

func modelDigest(live map[string]Record) (d storage.Digest) {
	sum := new(big.Int)
	for id, rec := range live {
		in := binary.BigEndian.AppendUint32(nil, uint32(len(id)))
		in = append(append(in, id...), rec.Hash[:]...)
		full := sha256.Sum256(in)
		sum.Add(sum, new(big.Int).SetBytes(full[:16]))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 128))
	sum.FillBytes(d[:])
	return d
}
