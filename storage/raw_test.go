package storage

import (
	"bytes"
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
