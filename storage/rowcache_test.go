package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"pgregory.net/rapid"
)

// uncached is a reader of the same version that knows nothing.
func (rs rows) uncached() rows { return rows{rs.src, newRowCache(), 0} }

// TestCacheFollowsDatabase writes rows in all ways that a batch can, and reads them in
// between, in the database and in snapshots of any age: with the cache it is as without.
func TestCacheFollowsDatabase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		db := openTest(t, dbDir, memOptions())
		var open []*Snapshot
		batch := db.NewBatch()
		defer func() {
			errs := []error{batch.Close()}
			for _, s := range open {
				errs = append(errs, s.Close())
			}
			check(t, errors.Join(append(errs, db.Close())...))
		}()
		seq := uint64(0)
		org := rapid.Custom(func(t *rapid.T) OrgNum { return OrgNum(rapid.IntRange(1, 3).Draw(t, "org")) })
		compare := func(t *rapid.T, rs rows, who string) {
			for o := range OrgNum(4) {
				got, gotErr := readOrg(rs, o)
				want, wantErr := readOrg(rs.uncached(), o)
				if got != want || gotErr != nil || wantErr != nil {
					t.Fatalf("organization %d in %s: %s, %v with the cache, %s, %v without", o, who, got, gotErr, want, wantErr)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				seq++
				o := org.Draw(t, "of")
				batch.PutOrg(fmt.Sprint(o), Org{Num: o, CreatedAt: int64(seq)})
				batch.PutWindowHead(o, WindowHead{Admitted: seq})
				batch.PutWindowSlot(o, seq%4, WindowSlot{At: int64(seq)})
				batch.PutNamespace(StoreNum(o), "ns", Namespace{Count: seq})
			},
			"delete": func(t *rapid.T) {
				batch.DeleteWindowSlot(org.Draw(t, "of"), uint64(rapid.IntRange(0, 3).Draw(t, "slot")))
			},
			"drop":         func(t *rapid.T) { o := org.Draw(t, "of"); batch.DropOrg(fmt.Sprint(o), o) },
			"drop a store": func(t *rapid.T) { batch.DropStore(1, "s", StoreNum(org.Draw(t, "of"))) },
			"commit": func(t *rapid.T) {
				check(t, batch.commit(func(commit func() error) error {
					open = append(open, db.Snapshot())
					compare(t, db.rows, "the database before the commit")
					err := commit()
					open = append(open, db.Snapshot())
					compare(t, db.rows, "the database before the end of the commit")
					return err
				}))
				check(t, batch.Close())
				batch = db.NewBatch()
			},
			"snapshot":          func(t *rapid.T) { open = append(open, db.Snapshot()) },
			"read the database": func(t *rapid.T) { compare(t, db.rows, "the database") },
			"read a snapshot": func(t *rapid.T) {
				if len(open) > 0 {
					i := rapid.IntRange(0, len(open)-1).Draw(t, "snapshot")
					compare(t, open[i].rows, fmt.Sprintf("snapshot %d of %d", i, len(open)))
				}
			},
		})
	})
}

// readOrg is what there is of an organization that is in the cache.
func readOrg(rs rows, o OrgNum) (string, error) {
	row, found, err := rs.Org(fmt.Sprint(o))
	head, headErr := rs.WindowHead(o)
	ns, nsFound, nsErr := rs.Namespace(StoreNum(o), "ns")
	text, errs := fmt.Sprint(row.CreatedAt, found, head.Admitted, ns.Count, nsFound), []error{err, headErr, nsErr}
	for i := range uint64(4) {
		slot, found, err := rs.WindowSlot(o, i)
		text, errs = text+fmt.Sprint(" ", slot.At, found), append(errs, err)
	}
	return text, errors.Join(errs...)
}

// What is known isn't read again: it is found even where the database has lost it.
func TestCacheSparesReads(t *testing.T) {
	db := openMem(t)
	write(t, db, func(b *Batch) { b.PutWindowHead(1, WindowHead{Admitted: 1}) })
	for range 2 {
		if h, err := db.WindowHead(1); h.Admitted == 0 || err != nil {
			t.Fatalf("%+v, %v", h, err)
		}
		check(t, db.pebble.DeleteRange([]byte{0}, []byte{0xff}, pebble.NoSync))
	}
	write(t, db, func(b *Batch) { b.PutWindowHead(1, WindowHead{Admitted: 2}) })
	check(t, db.pebble.DeleteRange([]byte{0}, []byte{0xff}, pebble.NoSync))
	s := db.Snapshot()
	defer func() { check(t, s.Close()) }()
	if h, err := s.WindowHead(1); h.Admitted != 2 || err != nil {
		t.Errorf("%+v, %v", h, err)
	}
}

// What a batch that is being committed changes isn't taken from the cache meanwhile, nor
// put there. Everything else is.
func TestCacheKeepsOutOfCommits(t *testing.T) {
	db := openMem(t)
	write(t, db, func(b *Batch) {
		b.PutWindowHead(1, WindowHead{Admitted: 1})
		b.PutWindowHead(2, WindowHead{Admitted: 1})
	})
	read := func(rs rows, org OrgNum) uint64 {
		h, err := rs.WindowHead(org)
		check(t, err)
		return h.Admitted
	}
	read(db.rows, 1)
	read(db.rows, 2)
	check(t, db.pebble.DeleteRange([]byte{0}, []byte{0xff}, pebble.NoSync)) // but for what the cache has
	b := db.NewBatch()
	defer func() { check(t, b.Close()) }()
	b.PutWindowHead(1, WindowHead{Admitted: 2})
	check(t, b.commit(func(commit func() error) error {
		for i, inPebble := range []uint64{0, 2} {
			s := db.Snapshot()
			for _, rs := range []rows{s.rows, db.rows} {
				if changes, stays := read(rs, 1), read(rs, 2); changes != inPebble || stays != 1 {
					t.Errorf("%d: the row that changes is %d, the other %d", i, changes, stays)
				}
			}
			check(t, s.Close())
			if i == 0 {
				check(t, commit())
			}
		}
		return nil
	}))
	check(t, db.pebble.DeleteRange([]byte{0}, []byte{0xff}, pebble.NoSync))
	if changed, stayed := read(db.rows, 1), read(db.rows, 2); changed != 2 || stayed != 1 {
		t.Errorf("after the commit they are %d and %d", changed, stayed)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newRowCache()
	for i := range 2 * rowCacheBytes / rowCacheOverheadBytes {
		key := appendWindowSlotKey(nil, 1, uint64(i))
		_, _, ticket := c.get(key, latest)
		c.put(key, make([]byte, 20), ticket)
		if c.size > rowCacheBytes {
			t.Fatalf("%d bytes after %d rows", c.size, i)
		}
	}
	size := 0
	for key, row := range c.rows {
		size += len(key) + len(row.value) + rowCacheOverheadBytes
	}
	if size != c.size || size < rowCacheBytes/2 {
		t.Errorf("%d bytes, counted as %d", size, c.size)
	}
}
