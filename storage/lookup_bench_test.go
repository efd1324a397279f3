package storage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// lookupRecords is how many records the ways to look them up are compared over.
const lookupRecords = 1_000_000

// lookupWays are ways to read the fingerprints that a sync of full size would
// overwrite. Each returns how many of the ids it has found.
var lookupWays = []struct {
	name string
	read func(db *DB, ids []string) (int, error)
}{
	{"points", readPoints},
	{"sorted", readSorted},
	{"sorted-parallel", readSortedParallel},
	{"table", readTable},
}

// BenchmarkLookups is where ADR 16 and 17 in docs/adr have their figures from.
// It is long, and runs only where PIPESYNC_SOAK is set. Its cpu-ms/op, unlike the
// time, is hardly changed by what else the machine does.
func BenchmarkLookups(b *testing.B) {
	if os.Getenv("PIPESYNC_SOAK") == "" {
		b.Skip("runs where PIPESYNC_SOAK is set")
	}
	random := func(rng *rand.Rand) []string { return someIDs(func(int) int { return rng.IntN(lookupRecords) }) }
	fresh := func(rng *rand.Rand) []string {
		first := lookupRecords + rng.IntN(1<<40)
		return someIDs(func(i int) int { return first + i })
	}
	for _, cacheMiB := range []int64{32, 128, 192} {
		db := openTemp(b, Options{CacheBytes: cacheMiB << 20})
		fillRecords(b, db, 0, lookupRecords)
		if err := db.Flush(); err != nil {
			b.Fatal(err)
		}
		for _, way := range lookupWays {
			b.Run(fmt.Sprintf("cache=%dMiB/random/%s", cacheMiB, way.name), func(b *testing.B) { benchLookup(b, db, random, way.read) })
			b.Run(fmt.Sprintf("cache=%dMiB/new/%s", cacheMiB, way.name), func(b *testing.B) { benchLookup(b, db, fresh, way.read) })
		}
	}
	b.Run("map/random", benchMap)
}

func benchLookup(b *testing.B, db *DB, ids func(*rand.Rand) []string, read func(*DB, []string) (int, error)) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 { // so that the cache has what it can have
		if _, err := read(db, ids(rng)); err != nil {
			b.Fatal(err)
		}
	}
	var cpu int64
	for b.Loop() {
		b.StopTimer()
		batch := ids(rng)
		before := processorNanos(b)
		b.StartTimer()
		if _, err := read(db, batch); err != nil {
			b.Fatal(err)
		}
		cpu += processorNanos(b) - before
	}
	b.ReportMetric(float64(cpu)/1e6/float64(b.N), "cpu-ms/op")
}

// benchMap is what no database can do better than: all fingerprints in a Go map.
func benchMap(b *testing.B) {
	all := make(map[string]Fingerprint, lookupRecords)
	for i := range lookupRecords {
		all[benchID(i)] = Fingerprint{SyncTimestamp: int64(i)}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for b.Loop() {
		b.StopTimer()
		ids := someIDs(func(int) int { return rng.IntN(lookupRecords) })
		b.StartTimer()
		for _, id := range ids {
			if _, ok := all[id]; !ok {
				b.Fatal("missing")
			}
		}
	}
}

// processorNanos is the processor time that the process has taken.
func processorNanos(tb testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func someIDs(number func(i int) int) []string {
	ids := make([]string, benchBatchRows)
	for i := range ids {
		ids[i] = benchID(number(i))
	}
	return ids
}

// readPoints reads one fingerprint for each operation, in the order of the request.
func readPoints(db *DB, ids []string) (found int, err error) {
	for _, id := range ids {
		_, ok, err := get[Fingerprint](db.rows, appendFingerprintKey(nil, 1, 1, 1, id))
		if err != nil {
			return 0, err
		}
		if ok {
			found++
		}
	}
	return found, nil
}

// readSorted is what Apply does where the table has nothing.
func readSorted(db *DB, ids []string) (found int, err error) {
	return countFingerprints(db.rows, sorted(ids))
}

// readTable is what Apply does.
func readTable(db *DB, ids []string) (found int, err error) {
	return countFingerprints(db, sorted(ids))
}

// readSortedParallel reads the halves of the sorted ids at the same time.
func readSortedParallel(db *DB, ids []string) (int, error) {
	all := sorted(ids)
	var counts [2]int
	var errs [2]error
	var wg sync.WaitGroup
	for i, half := range [][]string{all[:len(all)/2], all[len(all)/2:]} {
		wg.Go(func() { counts[i], errs[i] = countFingerprints(db.rows, half) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return counts[0] + counts[1], nil
}

func sorted(ids []string) []string { return slices.Compact(slices.Sorted(slices.Values(ids))) }

func countFingerprints(r Reader, ids []string) (found int, err error) {
	err = r.Fingerprints(1, 1, 1, ids, func(_ int, _ Fingerprint, ok bool) error {
		if ok {
			found++
		}
		return nil
	})
	return found, err
}
