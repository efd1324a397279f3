package check

import (
	"fmt"
	"slices"
	"sort"

	"pipesync/test/jepsen/history"
)

// Contents makes the state of every index anew from the acknowledged syncs, and holds
// every read, also those that aren't linearizable, against that of the index which it
// names: nothing acknowledged is lost, a batch and a refresh are there whole or not at
// all, organizations never see each other's records. What a sync says that it has
// created, updated and removed has to be so.
//
// A sync of unknown outcome counts from the index on at which a read shows it.
func Contents(h *history.History) *Report {
	r := newReport("contents")
	all := r.states(h)
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Read == nil || op.Outcome != history.OK || op.Read.Missing {
			continue // what is missing names no index
		}
		r.Figures["reads"]++
		want := all.of(op.Org, op.Read.Namespace).at(op.Read.Index)
		if !slices.Equal(op.Read.Records, want) {
			r.found([]int{op.ID}, "a read through %s at index %d of %s/%s shows %s: it should be %s",
				op.Node, op.Read.Index, op.Org, op.Read.Namespace, describe(op.Read.Records), describe(want))
		}
	}
	return r
}

// states makes the state of every index.
func (r *Report) states(h *history.History) states {
	syncs := append(acknowledged(h), r.shown(h)...)
	slices.SortStableFunc(syncs, func(a, b *history.Op) int { return compare(a.Sync.Index, b.Sync.Index) })
	all := states{}
	for _, op := range syncs {
		var did history.Details
		for _, namespace := range namespacesOf(op) {
			all.of(op.Org, namespace).apply(op, namespace, &did)
		}
		r.Figures["syncs"]++
		if op.Outcome == history.OK && did != op.Sync.Details {
			r.found([]int{op.ID}, "sync at index %d says %+v of what it did, and did %+v", op.Sync.Index, op.Sync.Details, did)
		}
	}
	return all
}

// states has the contents of each namespace, by organization and name.
type states map[string]map[string]*contents

func (s states) of(org, namespace string) *contents {
	if s[org] == nil {
		s[org] = map[string]*contents{}
	}
	if s[org][namespace] == nil {
		s[org][namespace] = &contents{versions: map[string][]version{}}
	}
	return s[org][namespace]
}

// shown are the syncs of unknown outcome that some read shows, with their index. What is
// shown with two is an anomaly.
func (r *Report) shown(h *history.History) (ops []*history.Op) {
	writers := map[int64]*history.Op{}
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Sync != nil && op.Outcome == history.Unknown {
			for _, w := range op.Sync.Writes {
				if w.Value != 0 {
					writers[w.Value] = op
				}
			}
		}
	}
	indexes := map[*history.Op]uint64{}
	for i := range h.Ops {
		read := &h.Ops[i]
		if read.Read == nil || read.Outcome != history.OK {
			continue
		}
		for _, record := range read.Read.Records {
			op := writers[record.Value]
			if op == nil {
				continue
			}
			if index, seen := indexes[op]; seen && index != record.Index {
				r.found([]int{op.ID, read.ID}, "sync of unknown outcome was applied at index %d and at %d", index, record.Index)
			}
			if _, seen := indexes[op]; !seen {
				indexes[op] = record.Index
				applied := *op
				sync := *op.Sync
				sync.Index = record.Index
				applied.Sync = &sync
				ops = append(ops, &applied)
			}
		}
	}
	r.Figures["syncs of unknown outcome that were applied"] = len(ops)
	return ops
}

// contents is what a namespace holds: for each id all that it ever was, by index.
type contents struct{ versions map[string][]version }

type version struct {
	index     uint64
	value     int64 // 0: not there
	timestamp int64 // of the last sync that had it so; 0: none
}

// newest is the last of an id.
func (c *contents) newest(id string) version {
	if n := len(c.versions[id]); n > 0 {
		return c.versions[id][n-1]
	}
	return version{}
}

func (c *contents) put(id string, v version) { c.versions[id] = append(c.versions[id], v) }

// value is what an id has in the state of an index, and since which.
func (c *contents) value(index uint64, id string) version {
	versions := c.versions[id]
	i := sort.Search(len(versions), func(i int) bool { return versions[i].index > index })
	if i == 0 {
		return version{}
	}
	return versions[i-1]
}

// at returns the records in the state of an index.
func (c *contents) at(index uint64) (records []history.Record) {
	for id := range c.versions {
		if v := c.value(index, id); v.value != 0 {
			records = append(records, history.Record{ID: id, Value: v.value, Index: v.index})
		}
	}
	slices.SortFunc(records, func(a, b history.Record) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return records
}

// apply takes up what a sync does here, the next in the order of indexes, and counts it.
// What is older than what it meets, by timestamps, does nothing.
func (c *contents) apply(op *history.Op, namespace string, did *history.Details) {
	named := map[string]bool{}
	for _, w := range op.Sync.Writes {
		if w.Namespace != namespace {
			continue
		}
		named[w.ID] = true
		before, count := c.newest(w.ID), max(w.Count, 1)
		after := version{op.Sync.Index, w.Value, op.Sync.Timestamp}
		switch {
		case after.timestamp != 0 && after.timestamp < before.timestamp:
			continue
		case w.Value == before.value:
			did.Unchanged += count
			after.index = before.index
			if before == (version{}) && after.timestamp == 0 {
				continue
			}
		case w.Value == 0:
			did.Removed += count
		case before.value == 0:
			did.Created += count
		default:
			did.Updated += count
		}
		c.put(w.ID, after)
	}
	if op.Sync.Mode != history.FullRefresh {
		return
	}
	for id := range c.versions {
		if !named[id] && c.newest(id).value != 0 {
			did.Removed++
			c.put(id, version{index: op.Sync.Index})
		}
	}
}

// describe is short also for a large namespace.
func describe(records []history.Record) string {
	const most = 12
	text := fmt.Sprint(records[:min(len(records), most)])
	if len(records) > most {
		text += fmt.Sprintf(" and %d more", len(records)-most)
	}
	return text
}
