package storage

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestFingerprintsMatchModel looks sets of ids up among some that are there:
// dense and sparse, before, between and beyond, over one iterator.
func TestFingerprintsMatchModel(t *testing.T) {
	const rows = 20_000
	db := openMem(t)
	id := func(i int) string { return fmt.Sprintf("%08d", i+1000) }
	write(t, db, func(b *Batch) {
		for i := range rows {
			b.PutFingerprint(1, 1, 2, id(2*i), Fingerprint{SyncTimestamp: int64(2 * i), Changed: Seq{Index: 1}})
			b.PutFingerprint(1, 1, 1, id(2*i+1), Fingerprint{})
			b.PutFingerprint(1, 1, 3, id(2*i+1), Fingerprint{})
		}
	})
	check(t, db.Flush())
	// Some rows are newer than the table, some again in the memtable.
	write(t, db, func(b *Batch) {
		for i := 0; i < rows; i += 7 {
			b.PutFingerprint(1, 1, 2, id(2*i), Fingerprint{SyncTimestamp: int64(2 * i), Changed: Seq{Index: 2}, Tombstone: true})
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.IntRange(-100, 2*rows+100).Draw(t, "start")
		stride := rapid.SampledFrom([][]int{{1, 2}, {1, 2, 3, 4}, {5, 20, 101}, {1, 2, 3, 50}, {2, 3000}}).Draw(t, "stride")
		n := rapid.SampledFrom([]int{0, 1, 10, 300}).Draw(t, "ids")
		steps := rapid.SliceOfN(rapid.SampledFrom(stride), n, n).Draw(t, "steps")
		var numbers []int
		var ids []string
		for _, step := range steps {
			start += step
			numbers, ids = append(numbers, start), append(ids, id(start))
		}
		calls := 0
		check(t, db.Fingerprints(1, 1, 2, ids, func(i int, f Fingerprint, found bool) error {
			n := numbers[i]
			want := Fingerprint{}
			if n%2 == 0 && n >= 0 && n < 2*rows {
				want = Fingerprint{SyncTimestamp: int64(n), Changed: Seq{Index: 1}}
				if n/2%7 == 0 {
					want.Changed.Index, want.Tombstone = 2, true
				}
			}
			if i != calls || f != want || found != (want != Fingerprint{}) {
				return fmt.Errorf("call %d: number %d of id %s: %+v, %v, want %+v", calls, i, ids[i], f, found, want)
			}
			calls++
			return nil
		}))
		if calls != len(ids) {
			t.Fatalf("%d calls for %d ids", calls, len(ids))
		}
	})
}

func TestFingerprintsRefusesDisorder(t *testing.T) {
	db := openMem(t)
	for _, ids := range [][]string{{"b", "a"}, {"a", "a"}, {"a", "\xff", "b"}} {
		if err := db.Fingerprints(1, 1, 1, ids, func(int, Fingerprint, bool) error { return nil }); err == nil {
			t.Errorf("ids %q were taken", ids)
		}
	}
}
