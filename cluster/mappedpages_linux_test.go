package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// mappedBytes are those of the file that count as memory of this process.
func mappedBytes(t *testing.T, path string) (bytes int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	within := false
	for line := range strings.Lines(string(text)) {
		var kib int64
		if field, _, _ := strings.Cut(line, " "); !strings.HasSuffix(field, ":") { // the range of a mapping
			within = strings.HasSuffix(strings.TrimSpace(line), path)
		} else if _, err := fmt.Sscanf(line, "Rss: %d kB", &kib); err == nil && within {
			bytes += kib << 10
		}
	}
	return bytes
}

// Whatever is done with a log of 64 MiB, little of it counts as memory.
func TestPagesOfTheLogAreGivenBack(t *testing.T) {
	const (
		entries = 1024
		size    = 64 << 10
		// A page of the kernel's cache may have 2 MiB, and is mapped whole.
		most = givenBackBytes + 4<<20
	)
	dir := t.TempDir()
	path := filepath.Join(dir, logFileName)
	var file LogFile
	open := func() (err error) {
		if file, err = openBolt(dir); err == nil {
			file.(*mappedFile).pages.db.NoSync = true // for speed
		}
		return err
	}
	next := uint64(1)
	for _, step := range []struct {
		name  string
		times int
		do    func(i int) error
	}{
		{"opening", 1, func(int) error { return open() }},
		{"appending", entries, func(int) error {
			e := &raft.Log{Index: next, Data: make([]byte, size)}
			next++
			return file.StoreLog(e)
		}},
		{"reading", entries, func(i int) error { return file.GetLog(uint64(i+1), new(raft.Log)) }},
		{"reading at random", entries, func(i int) error { return file.GetLog(uint64(i*7919%entries+1), new(raft.Log)) }},
		{"opening it again", 1, func(int) error { return errors.Join(file.Close(), open()) }},
		{"cutting it", 1, func(int) error { return file.DeleteRange(1, entries-16) }},
		{"appending small entries", 1000, func(int) error {
			e := &raft.Log{Index: next, Data: make([]byte, 300)}
			next++
			return file.StoreLog(e)
		}},
	} {
		for i := range step.times {
			if err := step.do(i); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if i%8 > 0 && i+1 < step.times {
				continue
			}
			if has := mappedBytes(t, path); has > most {
				t.Fatalf("%s: %d times, and %d MiB are mapped", step.name, i+1, has>>20)
			}
		}
		t.Logf("%s: %d KiB", step.name, mappedBytes(t, path)>>10)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// While a log is cut most of it could be in memory at once: what the kernel says about the
// process's peak knows.
func TestCutOfTheLogIsInMemoryInPieces(t *testing.T) {
	const (
		entries = 128
		size    = 1 << 20
		most    = cutBytes + 32<<20
	)
	file := openMappedTest(t)
	data := make([]byte, size)
	for i := range entries {
		if err := file.StoreLog(&raft.Log{Index: uint64(i + 1), Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	before := peakBytes(t)
	if err := file.DeleteRange(1, entries-2); err != nil {
		t.Fatal(err)
	}
	if more := peakBytes(t) - before; more > most {
		t.Errorf("%d MiB more than before were in memory", more>>20)
	}
	first, err := file.FirstIndex()
	if err != nil || first != entries-1 {
		t.Errorf("the first entry is %d, %v", first, err)
	}
}

func peakBytes(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
