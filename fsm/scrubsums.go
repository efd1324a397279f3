package fsm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"pipesync/storage"
)

// rowSums are what the rows of a state add up to, beside what others of them count:
// a namespace's row its fingerprints and contents, and the usage rows the namespaces
// of a store, of an organization and of the cluster.
type rowSums struct {
	namespaces map[namespaceID]*namespaceSum
	usage      map[usageID]*usageSum
	stores     map[usageID]string // names
	orgs       map[storage.OrgNum]string
	deleted    map[storage.OrgNum]bool // organizations, whatever is left of which counts for nothing
}

type namespaceID struct {
	store storage.StoreNum
	ns    storage.NamespaceNum
}

// namespaceSum is of the live generation.
type namespaceSum struct {
	row                        storage.Namespace
	live, tombstones, contents uint64
	bytes, contentBytes        uint64 // sizes of records, by their fingerprints and by their ids and contents
	digest                     digestSum
}

// usageID is a store, or with the store 0 its organization, or with both 0 the cluster.
type usageID struct {
	org   storage.OrgNum
	store storage.StoreNum
}

type usageSum struct {
	row    storage.Usage
	sum    storage.Usage // but for the digest
	digest digestSum
}

func newRowSums() *rowSums {
	return &rowSums{
		namespaces: map[namespaceID]*namespaceSum{}, usage: map[usageID]*usageSum{},
		stores: map[usageID]string{}, orgs: map[storage.OrgNum]string{}, deleted: map[storage.OrgNum]bool{},
	}
}

// visitor adds up the rows that it is given.
func (r *rowSums) visitor() storage.Visitor {
	live := func(store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation) *namespaceSum {
		if t := r.namespaces[namespaceID{store, ns}]; t != nil && t.row.Live == gen {
			return t
		}
		return &namespaceSum{} // of a generation that is none any more, or not yet
	}
	return storage.Visitor{
		Org:        func(name string, o storage.Org) { r.orgs[o.Num] = name },
		DeletedOrg: func(org storage.OrgNum) { r.deleted[org] = true },
		Store:      func(org storage.OrgNum, name string, s storage.Store) { r.stores[usageID{org, s.Num}] = name },
		Usage:      func(org storage.OrgNum, store storage.StoreNum, u storage.Usage) { r.of(usageID{org, store}).row = u },
		Namespace: func(store storage.StoreNum, name string, n storage.Namespace) {
			r.namespaces[namespaceID{store, n.Num}] = &namespaceSum{row: n}
			part := &usageSum{sum: usageOf(&n), digest: newDigestSum(n.Digest)}
			r.of(usageID{n.Org, store}).addPart(name, part)
		},
		Fingerprint: func(store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation, id string, f storage.Fingerprint) {
			t := live(store, ns, gen)
			if f.Tombstone {
				t.tombstones++
				return
			}
			t.live++
			t.bytes += uint64(f.Size)
			t.contentBytes += uint64(len(id))
			t.digest.add(id, f.Hash)
		},
		Content: func(store storage.StoreNum, ns storage.NamespaceNum, gen storage.Generation, size uint64) {
			t := live(store, ns, gen)
			t.contents++
			t.contentBytes += size
		},
	}
}

func (r *rowSums) of(id usageID) *usageSum {
	if r.usage[id] == nil {
		r.usage[id] = &usageSum{}
	}
	return r.usage[id]
}

func (s *usageSum) addPart(name string, part *usageSum) {
	s.sum.Records += part.sum.Records
	s.sum.Bytes += part.sum.Bytes
	s.sum.Tombstones += part.sum.Tombstones
	s.sum.Namespaces += part.sum.Namespaces
	s.digest.replace(name, storage.Digest{}, part.digest.digest())
}

// compare complains of every figure that isn't what the rows add up to.
func (r *rowSums) compare(complain func(format string, args ...any)) {
	for _, id := range slices.SortedFunc(maps.Keys(r.namespaces), func(a, b namespaceID) int {
		return cmp.Or(cmp.Compare(a.store, b.store), cmp.Compare(a.ns, b.ns))
	}) {
		t := r.namespaces[id]
		for _, f := range []struct {
			what      string
			got, want uint64
		}{
			{"live fingerprints", t.live, t.row.Count},
			{"contents", t.contents, t.row.Count + t.row.Superseded},
			{"tombstones", t.tombstones, t.row.Tombstones},
			{"bytes by its fingerprints", t.bytes, t.row.Bytes},
			{"bytes by its contents", t.contentBytes, t.row.Bytes + t.row.SupersededBytes},
		} {
			if f.got != f.want {
				complain("namespace %d of store %d has %d %s, and should have %d", id.ns, id.store, f.got, f.what, f.want)
			}
		}
		if got := t.digest.digest(); got != t.row.Digest {
			complain("namespace %d of store %d has the digest %x, and should have %x", id.ns, id.store, got, t.row.Digest)
		}
	}
	r.addUp()
	for _, id := range r.usageIDs() {
		u := r.usage[id]
		u.sum.Digest = u.digest.digest()
		if u.row != u.sum {
			complain("the usage of organization %d, store %d is %s, and should be %s", id.org, id.store, describeUsage(u.row), describeUsage(u.sum))
		}
	}
}

// addUp makes the sums of organizations and cluster from those of the stores.
func (r *rowSums) addUp() {
	maps.DeleteFunc(r.usage, func(id usageID, _ *usageSum) bool { return r.deleted[id.org] })
	for _, id := range r.usageIDs() {
		if id.store != 0 {
			r.of(usageID{org: id.org}).addPart(r.stores[id], r.usage[id])
		}
	}
	for _, id := range r.usageIDs() {
		if id.store == 0 && id.org != 0 {
			r.of(usageID{}).addPart(r.orgs[id.org], r.usage[id])
		}
	}
}

func (r *rowSums) usageIDs() []usageID {
	return slices.SortedFunc(maps.Keys(r.usage), func(a, b usageID) int {
		return cmp.Or(cmp.Compare(a.org, b.org), cmp.Compare(a.store, b.store))
	})
}

func describeUsage(u storage.Usage) string {
	return fmt.Sprintf("%d records of %d bytes, %d tombstones, %d namespaces, digest %x", u.Records, u.Bytes, u.Tombstones, u.Namespaces, u.Digest)
}
