package storage

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyName draws names whose bytes are those that break careless key layouts.
func anyName() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 0x01, 'a', '/', 0x7f, 0x80, 0xfe, 0xff}), 1, 5).Draw(t, "name")
		return string(b)
	})
}

// after gives the at most limit names greater than the bound.
func after(sorted []string, bound string, limit int) []string {
	var out []string
	for _, name := range sorted {
		if name > bound && len(out) < limit {
			out = append(out, name)
		}
	}
	return out
}

// TestScansMatchModel: each scan lists the names of its own parent alone, by
// bytes, strictly after the bound, no more than the limit.
func TestScansMatchModel(t *testing.T) {
	db := openMem(t)
	parent := uint32(0)
	rapid.Check(t, func(t *rapid.T) {
		parent += 3 // the rows of earlier rounds stay behind as neighbours
		names := rapid.SliceOfNDistinct(anyName(), 0, 30, rapid.ID).Draw(t, "names")
		b := db.NewBatch()
		for _, name := range names {
			b.PutStore(OrgNum(parent), name, Store{Num: StoreNum(len(name))})
			b.PutOrgKey(OrgNum(parent), name)
			b.PutNamespace(StoreNum(parent), name, Namespace{Num: NamespaceNum(len(name))})
			putRecord(b, StoreNum(parent), 1, math.MaxUint32, name)
			for _, other := range []uint32{parent - 1, parent + 1} {
				b.PutStore(OrgNum(other), "other"+name, Store{})
				b.PutOrgKey(OrgNum(other), "other"+name)
				b.PutNamespace(StoreNum(other), "other"+name, Namespace{})
				putRecord(b, StoreNum(other), 1, 0, "other"+name)
			}
			b.PutFingerprint(StoreNum(parent), 1, math.MaxUint32, name+"tombstone", Fingerprint{Tombstone: true})
			b.PutFingerprint(StoreNum(parent), 2, 7, name, Fingerprint{BuriedAt: int64(len(name)), Tombstone: len(name)%2 == 0})
			b.PutFingerprint(StoreNum(parent), 2, 7, name+"gone", Fingerprint{})
			b.DeleteFingerprint(StoreNum(parent), 2, 7, name+"gone")
		}
		commit(t, b)
		sorted := slices.Sorted(slices.Values(names))
		bound := rapid.OneOf(rapid.Just(""), anyName(), rapid.SampledFrom(append(names, ""))).Draw(t, "after")
		limit := rapid.SampledFrom([]int{0, 1, 2, 7, 1000}).Draw(t, "limit")
		want := after(sorted, bound, limit)

		scans := map[string]func(visit func(string, bool) error) error{
			"stores": func(visit func(string, bool) error) error {
				return db.ScanStores(OrgNum(parent), bound, limit, func(name string, s Store) error {
					return visit(name, s.Num == StoreNum(len(name)))
				})
			},
			"keys": func(visit func(string, bool) error) error {
				return db.ScanOrgKeys(OrgNum(parent), bound, limit, func(id string) error { return visit(id, true) })
			},
			"namespaces": func(visit func(string, bool) error) error {
				return db.ScanNamespaces(StoreNum(parent), bound, limit, func(name string, n Namespace) error {
					return visit(name, n.Num == NamespaceNum(len(name)))
				})
			},
			"fingerprints": func(visit func(string, bool) error) error {
				return db.ScanFingerprints(StoreNum(parent), 2, 7, bound, limit, func(id string, f Fingerprint) error {
					dead := len(id)%2 == 0
					return visit(id, f.Tombstone == dead && (!dead || f.BuriedAt == int64(len(id))))
				})
			},
			"records": func(visit func(string, bool) error) error {
				return db.ScanRecords(StoreNum(parent), 1, math.MaxUint32, bound, limit, func(id string, f Fingerprint, c Content) error {
					return visit(id, string(c.Data) == id && f.SyncTimestamp == int64(len(id)) && !f.Tombstone)
				})
			},
		}
		for what, scan := range scans {
			var got []string
			check(t, scan(func(name string, right bool) error {
				if !right {
					return fmt.Errorf("wrong row under %q", name)
				}
				got = append(got, name)
				return nil
			}))
			if !slices.Equal(got, want) {
				t.Fatalf("%s after %q, limit %d: %q, want %q", what, bound, limit, got, want)
			}
		}
	})
}

// TestScansOfNames does the same for the two kinds that have no parent.
func TestScansOfNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		db := openTest(t, dbDir, memOptions())
		defer func() { check(t, db.Close()) }()
		names := rapid.SliceOfNDistinct(anyName(), 0, 20, rapid.ID).Draw(t, "names")
		b := db.NewBatch()
		b.PutStore(0, "", Store{})
		for _, name := range names {
			b.PutOrg(name, Org{Num: OrgNum(len(name))})
			b.PutKey("k"+name, Key{Name: name})
		}
		b.SetSystem(&System{})
		commit(t, b)
		bound := rapid.OneOf(rapid.Just(""), anyName()).Draw(t, "after")
		limit := rapid.SampledFrom([]int{1, 5, 1000}).Draw(t, "limit")
		var orgs, keys []string
		check(t, db.ScanOrgs(bound, limit, func(name string, _ Org) error { orgs = append(orgs, name); return nil }))
		check(t, db.ScanKeys(bound, limit, func(id string, _ Key) error { keys = append(keys, id); return nil }))
		slices.Sort(names)
		if want := after(names, bound, limit); !slices.Equal(orgs, want) {
			t.Fatalf("orgs %q, want %q", orgs, want)
		}
		for i := range names {
			names[i] = "k" + names[i]
		}
		if want := after(names, bound, limit); !slices.Equal(keys, want) {
			t.Fatalf("keys %q, want %q", keys, want)
		}
	})
}

// TestScanChangesMatchesModel: the change rows of one store, in the order of their
// seqs, strictly after the bound, no more than the limit.
func TestScanChangesMatchesModel(t *testing.T) {
	db := openMem(t)
	store := StoreNum(0)
	anySeq := rapid.Custom(func(t *rapid.T) Seq {
		index := rapid.SampledFrom([]uint64{1, 2, 255, 256, 1 << 40, math.MaxUint64}).Draw(t, "index")
		return Seq{index, rapid.SampledFrom([]uint32{0, 1, 255, 256, math.MaxUint32}).Draw(t, "offset")}
	})
	rapid.Check(t, func(t *rapid.T) {
		store += 2 // the rows of earlier rounds stay behind as neighbours
		seqs := rapid.SliceOfNDistinct(anySeq, 0, 30, rapid.ID).Draw(t, "seqs")
		b := db.NewBatch()
		rows := map[uint64][]ChangeAt{} // by index
		for _, seq := range seqs {
			rows[seq.Index] = append(rows[seq.Index], ChangeAt{seq.Offset, Change{Namespace: NamespaceNum(seq.Offset), ID: fmt.Sprint(seq)}})
		}
		for index, list := range rows {
			slices.SortFunc(list, func(a, b ChangeAt) int { return cmp.Compare(a.Offset, b.Offset) })
			for len(list) > 0 {
				n := rapid.IntRange(1, min(3, len(list))).Draw(t, "in a row")
				row := Seq{index, list[n-1].Offset}
				if n == len(list) && rapid.Bool().Draw(t, "one behind it is gone") {
					row.Offset = math.MaxUint32
				}
				b.PutChanges(store, row, list[:n])
				b.PutChanges(store+1, row, list[:n])
				list = list[n:]
			}
			gone := Seq{index - 1, 77}
			b.PutChanges(store, gone, []ChangeAt{{77, Change{ID: "gone"}}})
			b.DeleteChanges(store, gone)
		}
		b.PutChangeHead(store, ChangeHead{Entries: uint64(len(seqs))})
		commit(t, b)
		bound := rapid.OneOf(rapid.Just(Seq{}), anySeq).Draw(t, "after")
		limit := rapid.SampledFrom([]int{0, 1, 2, 7, 1000}).Draw(t, "limit")
		var want []Seq
		for _, seq := range slices.SortedFunc(slices.Values(seqs), Seq.Compare) {
			if seq.Compare(bound) > 0 && len(want) < limit {
				want = append(want, seq)
			}
		}
		var got []Seq
		err := db.ScanChanges(store, bound, limit, func(seq Seq, c Change) error {
			if c != (Change{Namespace: NamespaceNum(seq.Offset), ID: fmt.Sprint(seq)}) {
				t.Fatalf("change %v is %+v", seq, c)
			}
			got = append(got, seq)
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("scanned %v, %v, want %v", got, err, want)
		}
		if head, err := db.ChangeHead(store); err != nil || head.Entries != uint64(len(seqs)) {
			t.Fatalf("head %+v, %v", head, err)
		}
	})
}

// TestContentSizes: of those seqs that there are contents of, whatever lies between them.
func TestContentSizes(t *testing.T) {
	db := openMem(t)
	b := db.NewBatch()
	var seqs, there []Seq
	for i := range uint32(100) {
		seq := Seq{Index: uint64(i / 10), Offset: i % 10}
		if i%3 != 0 {
			b.PutContent(1, 1, 1, seq, Content{Data: make([]byte, i), SyncID: "not counted"})
		}
		b.PutContent(1, 1, 2, seq, Content{})
		if i < 20 || i%7 == 0 { // neighbours, and then others
			seqs = append(seqs, seq)
			if i%3 != 0 {
				there = append(there, seq)
			}
		}
	}
	commit(t, b)
	var visited []Seq
	check(t, db.ContentSizes(1, 1, 1, seqs, func(changed Seq, bytes uint64) {
		visited = append(visited, changed)
		if want := changed.Index*10 + uint64(changed.Offset); bytes != want {
			t.Errorf("%v has %d bytes, want %d", changed, bytes, want)
		}
	}))
	if !slices.Equal(visited, there) {
		t.Errorf("visited %v, want %v", visited, there)
	}
}
