package storage

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type generation struct {
	store StoreNum
	ns    NamespaceNum
	gen   Generation
}

// neighbours are generations whose keys lie next to each other, the first and
// last of all included.
func neighbours() []generation {
	var out []generation
	edges := []uint32{0, 1, 0xff, 0x100, math.MaxUint32 - 1, math.MaxUint32}
	for _, store := range []uint32{0, 0xff, 0x100, math.MaxUint32} {
		for _, ns := range edges {
			for _, gen := range edges {
				out = append(out, generation{StoreNum(store), NamespaceNum(ns), Generation(gen)})
			}
		}
	}
	return out
}

// TestDropGenerationIsExact: dropping generations takes all their rows, and no
// row of any other, from memtables and tables alike.
func TestDropGenerationIsExact(t *testing.T) {
	ids := []string{"\x00", "\x00\x00", "\x00\xff", "a", "\xff", "\xff\xff", "\xff\xff\xff\xff\xff"}
	all := neighbours()
	rapid.Check(t, func(t *rapid.T) {
		db := openTest(t, dbDir, memOptions())
		defer func() { check(t, db.Close()) }()
		write(t, db, func(b *Batch) {
			b.PutNamespace(0, "", Namespace{})
			for _, g := range all {
				for _, id := range ids {
					putRecord(b, g.store, g.ns, g.gen, id)
				}
			}
		})
		if rapid.Bool().Draw(t, "flushed before") {
			check(t, db.Flush())
		}
		dropped := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 4, rapid.ID).Draw(t, "dropped")
		write(t, db, func(b *Batch) {
			for _, g := range dropped {
				b.DropGeneration(g.store, g.ns, g.gen)
			}
		})
		if rapid.Bool().Draw(t, "flushed after") {
			check(t, db.Flush())
		}
		for _, g := range all {
			want := ids
			if slices.Contains(dropped, g) {
				want = nil
			}
			if got := recordIDs(t, db, g.store, g.ns, g.gen); !slices.Equal(got, want) {
				t.Fatalf("%+v has records %q, want %q; dropped were %+v", g, got, want, dropped)
			}
			if got := fingerprintIDs(t, db, g.store, g.ns, g.gen, ids); !slices.Equal(got, want) {
				t.Fatalf("%+v has fingerprints %q, want %q; dropped were %+v", g, got, want, dropped)
			}
		}
		if _, found, err := db.Namespace(0, ""); err != nil || !found {
			t.Fatalf("a row of another kind: found %v, %v", found, err)
		}
	})
}

func TestPrefixEnd(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{
		{"\x20", "\x21"},
		{"\x20\x00\xff", "\x20\x01"},
		{"\x21\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x22"},
		{"\x21\x00\x00\x00\x01", "\x21\x00\x00\x00\x02"},
	} {
		if got := string(appendPrefixEnd([]byte("x"), []byte(c.prefix))); got != "x"+c.want {
			t.Errorf("end of prefix %x is %x, want %x", c.prefix, got[1:], c.want)
		}
	}
}

// TestDropStore: of all rows, those of the store go and no others.
func TestDropStore(t *testing.T) {
	db := openMem(t)
	b := db.NewBatch()
	left := map[string]bool{}
	for _, s := range samples() {
		k, err := parseKey(s.key)
		check(t, err)
		if k.store == 3 && k.kind != kindUsage {
			left[string(s.key)] = false
			k.store = 4
			check(t, b.pebble.Set(k.rebuild(), s.value, nil))
			left[string(k.rebuild())] = true
		} else {
			left[string(s.key)] = true
		}
		check(t, b.pebble.Set(s.key, s.value, nil))
	}
	b.PutStore(7, "gone", Store{Num: 3})
	b.PutUsage(7, 3, Usage{Records: 1})
	b.PutUsage(7, 4, Usage{Records: 2})
	left[string(appendUsageKey(nil, 7, 4))] = true
	commit(t, b)
	b = db.NewBatch()
	b.DropStore(7, "gone", 3)
	commit(t, b)
	check(t, db.Raw(func(key, _ []byte) error {
		if !left[string(key)] {
			t.Errorf("key %x is still there", key)
		}
		delete(left, string(key))
		return nil
	}))
	for key, want := range left {
		if want {
			t.Errorf("key %x is gone", key)
		}
	}
}

// TestDropOrg: of all rows, those of the organization go, but for its stores and
// keys, and no others.
func TestDropOrg(t *testing.T) {
	for _, org := range []OrgNum{1, 2} {
		db := openMem(t)
		b := db.NewBatch()
		var left []string
		for _, s := range samples() {
			k, err := parseKey(s.key)
			check(t, err)
			check(t, b.pebble.Set(s.key, s.value, nil))
			own := k.org == org && k.kind != kindStore && k.kind != kindOrgKey && k.kind != kindDeletedOrg
			if !own && s.name != "org" {
				left = append(left, string(s.key))
			}
		}
		b.DropOrg("org_acme", org)
		left = append(left, string(appendDeletedOrgKey(nil, org)))
		commit(t, b)
		slices.Sort(left)
		left = slices.Compact(left)
		check(t, db.Raw(func(key, _ []byte) error {
			if len(left) == 0 || left[0] != string(key) {
				t.Fatalf("key %x is there, want %x", key, left[:min(1, len(left))])
			}
			left = left[1:]
			return nil
		}))
		if len(left) > 0 {
			t.Errorf("key %x is gone", left[0])
		}
	}
}
