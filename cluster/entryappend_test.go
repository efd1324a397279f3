package cluster

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// sizedEntries have as many bytes of data as is said, each other ones.
func sizedEntries(first uint64, sizes ...int) (entries []*raft.Log) {
	for i, size := range sizes {
		index := first + uint64(i)
		e := &raft.Log{Index: index, Term: 3, Type: raft.LogCommand, Data: make([]byte, size), Extensions: []byte("seal and stamp")}
		for at := range e.Data {
			e.Data[at] = byte(at) * byte(index)
		}
		if i%2 == 0 {
			e.AppendedAt = time.Unix(1_700_000_000, int64(index)).UTC()
		}
		entries = append(entries, e)
	}
	return entries
}

// keyed are the keys and values of the log in a file of bbolt's.
func keyed(t *testing.T, db *bbolt.DB) (keys, values [][]byte) {
	t.Helper()
	err := db.View(func(tx *bbolt.Tx) error {
		return logBucket(tx).ForEach(func(k, v []byte) error {
			keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, values
}

// openMappedTest opens an empty log, whose writes aren't synced, for speed.
func openMappedTest(t *testing.T) *mappedFile {
	t.Helper()
	file, err := openBolt(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	f := file.(*mappedFile)
	f.pages.db.NoSync = true
	return f
}

// What is appended is what raft-boltdb would have, beside separators.
func TestEntriesAreStoredAsRaftBoltdbDoes(t *testing.T) {
	f := openMappedTest(t)
	theirs, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(t.TempDir(), logFileName), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	var all []*raft.Log
	for _, sizes := range [][]int{
		{0, 1, 300}, {20_000}, {16_000, 17_000, 100_000, 5}, {3 << 20, 2 << 20}, {700 << 10}, {1}, {700 << 10, 700 << 10}, {2, 40_000, 3},
	} {
		entries := sizedEntries(uint64(len(all)+1), sizes...)
		for _, log := range []raft.LogStore{f, theirs} {
			if err := log.StoreLogs(entries); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, entries...)
	}
	theirKeys, theirValues := keyed(t, pagesOf(theirs).db)
	keys, values := keyed(t, f.pages.db)
	var entryKeys, entryValues [][]byte
	separatorsOf := map[uint64]int{}
	for i, k := range keys {
		if len(k) == indexBytes {
			entryKeys, entryValues = append(entryKeys, k), append(entryValues, values[i])
			continue
		}
		separatorsOf[binary.BigEndian.Uint64(k)]++
		if len(values[i]) > 0 {
			t.Errorf("separator %x has %d bytes", k, len(values[i]))
		}
	}
	if !reflect.DeepEqual(entryKeys, theirKeys) || !reflect.DeepEqual(entryValues, theirValues) {
		t.Error("entries are stored otherwise than raft-boltdb does")
	}
	if len(f.pages.encoding) > keptEncodingBytes {
		t.Errorf("%d bytes are kept for the next append", len(f.pages.encoding))
	}
	for i, e := range all {
		want := 0
		if len(entryValues[i]) >= separatedBytes {
			want = separators
		}
		if got := separatorsOf[e.Index]; got != want {
			t.Errorf("%d separators behind entry %d, want %d", got, e.Index, want)
		}
		var got raft.Log
		if err := f.GetLog(e.Index, &got); err != nil || !reflect.DeepEqual(&got, e) {
			t.Errorf("entry %d: %v", e.Index, err)
		}
	}
}

// However large entries are, and whatever came before them, appending one writes it once.
func TestLargeEntriesAreWrittenOnce(t *testing.T) {
	const (
		size = 256 << 10
		// Leaves of separators, branches, the roots of buckets, and what is left of a page.
		besideBytes = 10 * 4096
	)
	f := openMappedTest(t)
	next := uint64(1)
	store := func(sizes ...int) (allocated int64) {
		t.Helper()
		stats := f.pages.db.Stats()
		before := stats.TxStats.GetPageAlloc()
		if err := f.StoreLogs(sizedEntries(next, sizes...)); err != nil {
			t.Fatal(err)
		}
		next += uint64(len(sizes))
		stats = f.pages.db.Stats()
		return stats.TxStats.GetPageAlloc() - before
	}
	for range 40 {
		for _, before := range [][]int{nil, {1}, {1, 1}, {1, 1, 1}, {8 << 10}, {8 << 10, 8 << 10, 8 << 10}, {size, size}} {
			if len(before) > 0 {
				store(before...)
			}
			if got := store(size); got > size+besideBytes+3*8<<10 {
				t.Fatalf("after entries of %d bytes, an entry of %d had %d written", before, size, got)
			}
		}
	}
}

// The log begins with an entry however it is cut.
func TestCutsTakeSeparatorsWithTheirEntries(t *testing.T) {
	f := openMappedTest(t)
	const count = 12
	for i := range uint64(count) {
		if err := f.StoreLogs(sizedEntries(i+1, cutBytes)); err != nil {
			t.Fatal(err)
		}
	}
	for more, cuts := true, 0; more; cuts++ {
		var err error
		if more, err = f.pages.cut(count / 2); err != nil {
			t.Fatal(err)
		}
		keys, _ := keyed(t, f.pages.db)
		if len(keys[0]) != indexBytes {
			t.Fatalf("after %d cuts the log begins with %x", cuts+1, keys[0])
		}
	}
	if err := f.DeleteRange(count-2, count); err != nil { // the end of it
		t.Fatal(err)
	}
	keys, _ := keyed(t, f.pages.db)
	if want := (count/2 - 3) * (1 + separators); len(keys) != want {
		t.Errorf("%d keys are left, want %d", len(keys), want)
	}
	first, err := f.FirstIndex()
	last, lastErr := f.LastIndex()
	if first != count/2+1 || last != count-3 || err != nil || lastErr != nil {
		t.Errorf("the log goes from %d (%v) to %d (%v)", first, err, last, lastErr)
	}
}
