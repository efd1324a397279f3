package storage

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestScanHistory: each way visits the organization's own rows alone, in order,
// from the bound on and no more than the limit.
func TestScanHistory(t *testing.T) {
	db := openMem(t)
	write(t, db, func(b *Batch) {
		for _, org := range []OrgNum{1, 2, 3} {
			for _, index := range []uint64{3, 255, 256, 1 << 40, math.MaxUint64} {
				b.PutHistory(org, index, History{SyncID: fmt.Sprint(org, "@", index)})
			}
		}
		b.DeleteHistory(2, 255)
	})
	type visitor = func(uint64, History) error
	read := func(scan func(visitor) error) []uint64 {
		t.Helper()
		var got []uint64
		check(t, scan(func(index uint64, h History) error {
			if h.SyncID != fmt.Sprint("2@", index) {
				return fmt.Errorf("row %d is %s", index, h.SyncID)
			}
			got = append(got, index)
			return nil
		}))
		return got
	}
	for _, c := range []struct {
		from  uint64
		limit int
		want  []uint64
	}{
		{0, 9, []uint64{3, 256, 1 << 40, math.MaxUint64}}, {3, 1, []uint64{3}}, {4, 1, []uint64{256}}, {0, 0, nil},
		{257, 9, []uint64{1 << 40, math.MaxUint64}},
	} {
		got := read(func(v visitor) error { return db.ScanHistory(2, c.from, c.limit, v) })
		if !slices.Equal(got, c.want) {
			t.Errorf("from %d, %d of them: %v, want %v", c.from, c.limit, got, c.want)
		}
	}
	for _, c := range []struct {
		before uint64
		limit  int
		want   []uint64
	}{
		{math.MaxUint64, 9, []uint64{1 << 40, 256, 3}}, {257, 1, []uint64{256}}, {256, 9, []uint64{3}}, {3, 9, nil}, {257, 0, nil},
	} {
		got := read(func(v visitor) error { return db.ScanHistoryBack(2, c.before, c.limit, v) })
		if !slices.Equal(got, c.want) {
			t.Errorf("before %d, %d of them: %v, want %v", c.before, c.limit, got, c.want)
		}
	}
	stop := errors.New("stop")
	if err := db.ScanHistory(2, 0, 9, func(uint64, History) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}
