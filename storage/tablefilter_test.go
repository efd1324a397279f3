package storage

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// TestTableFilter: a filter has every key that is looked for, and no changes, of which
// it never says that they aren't there.
func TestTableFilter(t *testing.T) {
	policy := tableFilter{bloom.FilterPolicy(bloomBits)}
	filterOf := func(keys [][]byte) []byte {
		w := policy.NewWriter(pebble.TableFilter)
		for _, key := range keys {
			w.AddKey(key)
		}
		return w.Finish(nil)
	}
	mayContain := func(filter, key []byte) bool { return policy.MayContain(pebble.TableFilter, filter, key) }

	var keys, changes [][]byte
	for _, s := range samples() {
		keys = append(keys, s.key)
	}
	for i := range uint32(1000) {
		changes = append(changes, appendChangeKey(nil, 1, Seq{Index: 1, Offset: i}))
	}
	filter := filterOf(slices.Concat(keys, changes))
	for _, key := range slices.Concat(keys, changes) {
		if !mayContain(filter, key) {
			t.Errorf("the filter doesn't have %x", key)
		}
	}
	if without := filterOf(keys); len(filter) > len(without) {
		t.Errorf("changes made a filter of %d bytes one of %d", len(without), len(filter))
	}
	found := 0
	for i := range 1000 {
		if mayContain(filter, appendFingerprintKey(nil, 1, 1, 1, benchID(i))) {
			found++
		}
	}
	if found > 100 {
		t.Errorf("%d of 1000 keys that aren't there may be", found)
	}
}
