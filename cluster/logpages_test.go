package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// pagedLog makes raft.db with a tree of two levels, pages that go on, and free ones, and
// returns it with its entries.
func pagedLog(t *testing.T, dir string) (path string, whole []byte, entries []*raft.Log) {
	t.Helper()
	store, _ := openTestLog(t, dir)
	for i := range uint64(400) {
		e := &raft.Log{Index: i + 1, Term: 2, Data: bytes.Repeat([]byte("x"), int(i%40)*20)}
		if i == 200 {
			e.Data = make([]byte, 20_000)
		}
		entries = append(entries, e)
	}
	for _, e := range entries {
		if err := errors.Join(store.log.StoreLog(e), store.variables.SetUint64([]byte("CurrentTerm"), e.Index)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(store.log.DeleteRange(1, 100), store.file.Close()); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, logFileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, whole, entries[100:]
}

// Whatever bit flips in what pages say of one another: bbolt isn't let near it, or goes on as
// if nothing had happened. A panic or a fault, which no test survives, is none of the two.
func TestNoFlippedBitOfAPageMisleads(t *testing.T) {
	dir := t.TempDir()
	path, whole, entries := pagedLog(t, dir)
	if _, err := checkPages(path); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	refused, served := 0, 0
	for at := 0; at < len(whole); at++ {
		inPage := at % os.Getpagesize()
		if inPage >= 100 && rng.IntN(500) > 0 || rng.IntN(16) > 0 {
			continue // keys and values, most of them, and what is free
		}
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << rng.IntN(8)
		if err := os.WriteFile(path, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		var rotten *rotError
		if _, err := checkPages(path); err != nil {
			if !errors.As(err, &rotten) || !strings.Contains(err.Error(), startCure) {
				t.Fatalf("byte %d: %v", at, err)
			}
			refused++
			continue
		}
		if rng.IntN(10) > 0 {
			continue
		}
		served++
		file, err := openBolt(dir)
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		log := &sealedLog{LogStore: file, alarm: &rotAlarm{}, floor: func() (uint64, error) { return 100, nil }}
		for _, want := range entries {
			var got raft.Log
			if err := log.GetLog(want.Index, &got); err != nil && !errors.As(err, &rotten) || err == nil && !sameEntry(&got, want) {
				t.Fatalf("byte %d: entry %d: %v", at, want.Index, err)
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d refused, %d served", refused, served)
	if refused < 100 || served < 10 {
		t.Error("too few to show anything")
	}
}

// A file that ends too early, or a page of it that was never written, is refused, and not
// read beyond its end.
func TestTornPagesAreRefused(t *testing.T) {
	dir := t.TempDir()
	path, whole, _ := pagedLog(t, dir)
	for name, spoil := range map[string]func(b []byte) []byte{
		"half of it":         func(b []byte) []byte { return b[:len(b)/2] },
		"a few bytes":        func(b []byte) []byte { return b[:100] },
		"zeros":              func(b []byte) []byte { clear(b); return b },
		"without meta page":  func(b []byte) []byte { clear(b[:os.Getpagesize()]); return b },
		"without the second": func(b []byte) []byte { clear(b[os.Getpagesize():][:os.Getpagesize()]); return b },
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			if err := os.WriteFile(path, spoil(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := openBolt(dir)
			var rotten *rotError
			if !errors.As(err, &rotten) {
				t.Error(err)
			}
		})
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, path + "?"} {
		if free, err := checkPages(path); free != 0 || err != nil {
			t.Errorf("one that is to be made: %d bytes are free, %v", free, err)
		}
	}
}

// freeApart is what opening a file itself may take of what is free in it.
const freeApart = 64 << 10

// Random logs of all sizes are what bbolt has made of them.
func TestWholeLogsPass(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			file, err := openBolt(dir)
			if err != nil {
				t.Fatal(err)
			}
			first := uint64(1)
			for next := uint64(1); next < 300; {
				var entries []*raft.Log
				for range 1 + rng.IntN(40) {
					entries = append(entries, &raft.Log{Index: next, Data: make([]byte, rng.IntN(1<<rng.IntN(16)+1))})
					next++
				}
				if err := file.StoreLogs(entries); err != nil {
					t.Fatal(err)
				}
				if rng.IntN(4) == 0 {
					cut := first + rng.Uint64N(next-first)
					if err := file.DeleteRange(first, cut); err != nil {
						t.Fatal(err)
					}
					first = cut + 1
				}
				if _, err := checkPages(filepath.Join(dir, logFileName)); err != nil {
					t.Fatal(err)
				}
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			free, err := checkPages(filepath.Join(dir, logFileName))
			if err != nil {
				t.Fatal(err)
			}
			if file, err = openBolt(dir); err != nil {
				t.Fatal(err)
			}
			stats := file.(*mappedFile).Stats()
			if counted := int64(stats.FreePageN+stats.PendingPageN) * int64(os.Getpagesize()); counted < free-freeApart || counted > free+freeApart {
				t.Errorf("%d bytes are free, and %d by bbolt's count", free, counted)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
