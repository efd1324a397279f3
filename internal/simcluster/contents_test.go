package simcluster

import (
	"sort"

	"pipesync/fsm"
	"pipesync/fsm/contenthash"
	"pipesync/storage"
)

// contents is what a namespace holds: for each id all that it ever was.
type contents struct {
	ids   map[string][]version
	order order
}

type version struct {
	index uint64
	data  string // empty: not there
}

// order is which operations with timestamps are too old. Deletions are never
// forgotten here: what the nodes have collected must make no difference.
type order struct {
	floor  int64
	newest int64            // of any sync
	last   map[string]int64 // by id, of what the floor is older than
}

func newContents() *contents { return &contents{ids: make(map[string][]version)} }

func (c *contents) put(index uint64, id, data string) {
	c.ids[id] = append(c.ids[id], version{index, data})
}

// at returns what an id is in a state that has applied index.
func (c *contents) at(index uint64, id string) string {
	versions := c.ids[id]
	i := sort.Search(len(versions), func(i int) bool { return versions[i].index > index })
	if i == 0 {
		return ""
	}
	return versions[i-1].data
}

// all returns the records there, by id.
func (c *contents) all(index uint64) map[string]string {
	records := make(map[string]string)
	for id := range c.ids {
		if data := c.at(index, id); data != "" {
			records[id] = data
		}
	}
	return records
}

// clear removes all records. What is older than anything that came is too old from
// now on.
func (c *contents) clear(index uint64) {
	for id := range c.all(index) {
		c.put(index, id, "")
	}
	c.order = order{floor: c.order.newest, newest: c.order.newest}
}

// forget removes one id as if it had never been.
func (c *contents) forget(index uint64, id string) {
	c.put(index, id, "")
	delete(c.order.last, id)
}

// apply takes up what a sync has done here.
func (c *contents) apply(index uint64, ns string, s *fsm.Sync) {
	if s.HasTimestamp {
		c.order.newest = max(c.order.newest, s.Timestamp)
	}
	if s.Mode == fsm.FullRefresh {
		c.clear(index)
	}
	for _, op := range s.Operations {
		if op.Namespace != ns || !c.order.admits(op.ID, s) {
			continue
		}
		data := string(op.Data)
		if op.Omitted {
			data = c.at(index-1, op.ID)
		}
		c.put(index, op.ID, data)
	}
}

// lacks says that a sync omits a content that its record is to get.
func (c *contents) lacks(index uint64, ns string, s *fsm.Sync) bool {
	decides := make(map[string]fsm.Operation)
	for _, op := range s.Operations {
		if op.Namespace == ns {
			decides[op.ID] = op
		}
	}
	for id, op := range decides {
		if op.Omitted && !c.order.stale(id, s) && op.Hash != hashOf(c.at(index-1, id)) {
			return true
		}
	}
	return false
}

// hashOf is the hash of what is there, zero where nothing is.
func hashOf(data string) (hash storage.Hash) {
	if data == "" {
		return hash
	}
	hash, err := new(contenthash.Hasher).Sum([]byte(data), nil, nil)
	if err != nil {
		panic(err)
	}
	return hash
}

// admits notes an operation that isn't too old.
func (o *order) admits(id string, s *fsm.Sync) bool {
	if !s.HasTimestamp {
		return true
	}
	if o.stale(id, s) {
		return false
	}
	if o.last == nil {
		o.last = make(map[string]int64)
	}
	o.last[id] = s.Timestamp
	return true
}

func (o *order) stale(id string, s *fsm.Sync) bool {
	return s.HasTimestamp && (s.Timestamp < o.floor || s.Timestamp < o.last[id])
}
