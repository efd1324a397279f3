package storage

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"
)

// TestRawSeesEveryKind: what Raw visits are the samples, all of them, in order.
func TestRawSeesEveryKind(t *testing.T) {
	db := openMem(t)
	want := map[string][]byte{}
	for _, s := range samples() {
		check(t, db.pebble.Set(s.key, s.value, pebble.NoSync))
		want[string(s.key)] = s.value // later samples of a key replace earlier ones
	}
	got := map[string][]byte{}
	var last []byte
	check(t, db.Raw(func(key, value []byte) error {
		if last != nil && bytes.Compare(last, key) >= 0 {
			t.Errorf("key %x after %x", key, last)
		}
		last = bytes.Clone(key)
		got[string(key)] = bytes.Clone(value)
		return nil
	}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func hashOf(tb tester, r interface{ Hash() ([32]byte, error) }) [32]byte {
	tb.Helper()
	sum, err := r.Hash()
	check(tb, err)
	return sum
}

// TestHashIsOfTheRowsAlone: neither flushes nor rows that came and went change
// it; any byte of any row does.
func TestHashIsOfTheRowsAlone(t *testing.T) {
	db := openMem(t)
	put := func(key, value string) { check(t, db.pebble.Set([]byte(key), []byte(value), pebble.NoSync)) }
	seen := map[[32]byte]string{hashOf(t, db): "nothing"}
	distinct := func(what string) {
		t.Helper()
		sum := hashOf(t, db)
		if other, ok := seen[sum]; ok {
			t.Errorf("%s hashes as %s", what, other)
		}
		seen[sum] = what
	}
	put("a", "bc")
	distinct("a=bc")
	check(t, db.pebble.Delete([]byte("a"), pebble.NoSync))
	put("ab", "c")
	distinct("ab=c")
	put("ab", "d")
	distinct("another value")
	put("ac", "")
	distinct("another row")

	want := hashOf(t, db)
	putRange := func(end string) { check(t, db.pebble.DeleteRange([]byte("x"), []byte(end), pebble.NoSync)) }
	put("x1", "gone")
	s := db.Snapshot()
	putRange("y")
	check(t, db.Flush())
	if hashOf(t, db) != want {
		t.Error("a row that came and went changed the hash")
	}
	if hashOf(t, s) == want {
		t.Error("a snapshot's hash is of a later state")
	}
	check(t, s.Close())
}

// TestVisitGoesOnBehindWhatItCantRead: rows are told by their kinds, and those that
// can't be decoded hide none of the others, nor do they go unseen by Any.
func TestVisitGoesOnBehindWhatItCantRead(t *testing.T) {
	db := openMem(t)
	write(t, db, func(b *Batch) {
		b.PutOrg("o", Org{Num: 7})
		b.PutStore(7, "s", Store{Num: 3})
		b.PutUsage(7, 3, Usage{Records: 1})
		b.PutNamespace(3, "n", Namespace{Num: 4, Live: 5})
		b.PutFingerprint(3, 4, 5, "id", Fingerprint{Size: 6})
		b.PutContent(3, 4, 5, Seq{}, Content{Data: []byte("12"), File: []byte("3"), SourceSystem: []byte("4"), CreatedAt: []byte("5"), UpdatedAt: []byte("678"), SyncID: "not counted"})
		b.PutHistoryHead(7, HistoryHead{Count: 1})
		b.DropOrg("gone", 8)
	})
	check(t, db.pebble.Set(appendFingerprintKey(nil, 3, 4, 5, "bad"), []byte{rowVersion + 1}, pebble.NoSync))
	check(t, db.pebble.Set([]byte{0xff}, nil, pebble.NoSync))
	var got []string
	told := func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) }
	rows := 0
	v := Visitor{
		Any: func(_, _ []byte) error { rows++; return nil },
		Unreadable: func(err error) {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v", err)
			}
			told("unreadable")
		},
		Org:        func(name string, o Org) { told("org %s %d", name, o.Num) },
		DeletedOrg: func(org OrgNum) { told("deleted org %d", org) },
		Store:      func(org OrgNum, name string, s Store) { told("store %d %s %d", org, name, s.Num) },
		Usage:      func(org OrgNum, store StoreNum, u Usage) { told("usage %d %d %d", org, store, u.Records) },
		Namespace:  func(store StoreNum, name string, n Namespace) { told("namespace %d %s %d", store, name, n.Num) },
		Fingerprint: func(store StoreNum, ns NamespaceNum, gen Generation, id string, f Fingerprint) {
			told("fingerprint %d %d %d %s %d", store, ns, gen, id, f.Size)
		},
		Content: func(store StoreNum, ns NamespaceNum, gen Generation, size uint64) {
			told("content %d %d %d %d", store, ns, gen, size)
		},
	}
	check(t, db.Visit(v))
	want := []string{
		"org o 7", "store 7 s 3", "namespace 3 n 4", "usage 7 3 1", "deleted org 8",
		"unreadable", "fingerprint 3 4 5 id 6", "content 3 4 5 8", "unreadable",
	}
	if diff := cmp.Diff(want, got); diff != "" || rows != 10 {
		t.Errorf("%d rows, %s", rows, diff)
	}
	enough := errors.New("enough")
	v.Any = func(_, _ []byte) error { return enough }
	if err := db.Visit(v); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
}
