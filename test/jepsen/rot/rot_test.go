package rot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"pipesync/storage"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// node is a directory as a node has it, that nobody has open.
type node struct {
	dir     string
	entries uint64
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{dir: filepath.Join(t.TempDir(), "node-1"), entries: 500}
	must(t, os.MkdirAll(filepath.Join(n.dir, "raft"), 0o700))
	log := n.openLog(t)
	for i := range n.entries {
		must(t, log.StoreLog(&raft.Log{Index: i + 1, Term: 2, Data: entryData(i + 1)}))
		must(t, log.Set(currentTerm, fmt.Appendf(nil, "a term that was sealed at entry %d", i+1)))
	}
	must(t, log.Close())

	state := filepath.Join(n.dir, "state")
	must(t, os.MkdirAll(state, 0o700))
	must(t, os.WriteFile(filepath.Join(state, "CURRENT"), []byte("db-0000000001\n"), 0o600))
	db, err := storage.Open(filepath.Join(state, "db-0000000001"), storage.Options{})
	must(t, err)
	for i := range uint64(3) {
		b := db.NewBatch()
		for row := range 500 {
			id := fmt.Sprintf("%d-%04d", i, row)
			changed := storage.Seq{Index: i, Offset: uint32(row)}
			b.PutFingerprint(1, 1, 1, id, storage.Fingerprint{Changed: changed})
			b.PutContent(1, 1, 1, changed, storage.Content{Data: bytes.Repeat([]byte(id), 10)})
		}
		b.SetSystem(&storage.System{AppliedIndex: i})
		must(t, errors.Join(b.Commit(), b.Close(), db.Flush()))
	}
	must(t, db.Close())
	return n
}

func entryData(index uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%06d", index), int(index%50))
}

func (n *node) openLog(t *testing.T) *raftboltdb.BoltStore {
	t.Helper()
	log, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(n.dir, "raft", "raft.db")})
	must(t, err)
	return log
}

// flip flips a bit of what find finds.
func (n *node) flip(t *testing.T, rng *rand.Rand, find func(string, *rand.Rand) (Place, error)) Place {
	t.Helper()
	p, err := find(n.dir, rng)
	must(t, err)
	before, err := os.ReadFile(p.File)
	must(t, err)
	at, err := p.Flip(rng)
	must(t, err)
	after, err := os.ReadFile(p.File)
	must(t, err)
	different := 0
	for i := range before {
		if before[i] != after[i] {
			different++
		}
	}
	if different != 1 || before[at.Offset] == after[at.Offset] || at.Offset < p.Offset || at.Offset >= p.Offset+p.Length {
		t.Fatalf("%d bytes differ, and not that of %+v in %+v", different, at, p)
	}
	left, err := os.ReadDir(filepath.Dir(n.dir))
	must(t, err)
	if len(left) != 1 {
		t.Fatalf("left behind: %v", left)
	}
	return at
}

func TestAnEntryThatIsHit(t *testing.T) {
	n := newNode(t)
	// A snapshot has what is before.
	snapshot := filepath.Join(n.dir, "state", "snapshots", "0000000007")
	must(t, os.MkdirAll(snapshot, 0o700))
	meta := make([]byte, 100)
	binary.BigEndian.PutUint64(meta[metaIndexAt:], n.entries/2)
	binary.BigEndian.PutUint64(meta[metaTermAt:], 2)
	must(t, os.WriteFile(filepath.Join(snapshot, "META"), meta, 0o600))
	for seed := range uint64(20) {
		p := n.flip(t, rand.New(rand.NewPCG(seed, 0)), LogEntry)
		var index uint64
		_, err := fmt.Sscanf(p.Told, "entry %d of the log", &index)
		must(t, err)
		log := n.openLog(t)
		var e raft.Log
		must(t, log.GetLog(index, &e))
		must(t, log.Close())
		if index <= n.entries/2 || e.Index != index || e.Term != 2 || bytes.Equal(e.Data, entryData(index)) {
			t.Errorf("%v: entry %d of term %d, with data as it was: %v", p, e.Index, e.Term, bytes.Equal(e.Data, entryData(index)))
		}
	}
}

func TestATermThatIsHit(t *testing.T) {
	n := newNode(t)
	log := n.openLog(t)
	before, err := log.Get(currentTerm)
	must(t, errors.Join(err, log.Close()))
	p := n.flip(t, rand.New(rand.NewPCG(1, 0)), LogVariable)
	log = n.openLog(t)
	after, err := log.Get(currentTerm)
	must(t, errors.Join(err, log.Close()))
	if bytes.Equal(before, after) || len(before) != len(after) {
		t.Errorf("%v: %q", p, after)
	}
}

func TestATableThatIsHit(t *testing.T) {
	for name, find := range map[string]func(string, *rand.Rand) (Place, error){"block": TableBlock, "tail": TableTail} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			if whole, err := Readable(n.dir); !whole || err != nil {
				t.Fatal(whole, err)
			}
			p := n.flip(t, rand.New(rand.NewPCG(2, 0)), TableBlock)
			if whole, err := Readable(n.dir); whole || err != nil {
				t.Errorf("%v: all rows can be read: %v, %v", p, whole, err)
			}
			if _, err := find(n.dir, rand.New(rand.NewPCG(3, 0))); err != nil && !errors.Is(err, ErrNothing) {
				t.Error(err)
			}
		})
	}
}

func TestATornTable(t *testing.T) {
	n := newNode(t)
	p, err := TableTail(n.dir, rand.New(rand.NewPCG(2, 0)))
	must(t, err)
	must(t, p.Zero())
	if whole, err := Readable(n.dir); whole || err != nil {
		t.Errorf("%v: all rows can be read: %v, %v", p, whole, err)
	}
}

func TestAManifestThatIsHit(t *testing.T) {
	n := newNode(t)
	p, err := ManifestTail(n.dir, nil)
	must(t, err)
	var last, all int
	_, err = fmt.Sscanf(p.What, "record %d of %d", &last, &all)
	must(t, err)
	if last != all || all < 3 {
		t.Fatalf("the tail is %+v", p)
	}
	p = n.flip(t, rand.New(rand.NewPCG(2, 0)), ManifestRecord)
	_, err = fmt.Sscanf(p.What, "record %d of %d", &last, &all)
	must(t, err)
	content, err := os.ReadFile(p.File)
	must(t, err)
	if got := readRecords(content); got != last-1 || last == all {
		t.Errorf("%v: Pebble reads %d records", p, got)
	}
	if _, err := storage.Open(filepath.Dir(p.File), storage.Options{}); !errors.Is(err, storage.ErrRot) || !strings.Contains(err.Error(), p.Told) {
		t.Errorf("the state is opened: %v", err)
	}
}

// What is hit of the pages of a log that is large enough for two levels is above its entries.
func TestPagesThatAreHit(t *testing.T) {
	n := newNode(t)
	meta, root := 0, 0
	for seed := range uint64(12) {
		before, err := os.ReadFile(filepath.Join(n.dir, "raft", "raft.db"))
		must(t, err)
		p := n.flip(t, rand.New(rand.NewPCG(seed, 3)), LogPage)
		if strings.Contains(p.What, "meta page") {
			meta++
		} else {
			root++
		}
		must(t, os.WriteFile(p.File, before, 0o600))
	}
	if meta == 0 || root == 0 {
		t.Errorf("%d meta pages, %d of others", meta, root)
	}
	p, err := LogTail(n.dir, nil)
	must(t, err)
	content, err := os.ReadFile(p.File)
	must(t, err)
	if tail := content[p.Offset:][:p.Length]; !bytes.Contains(tail, entryData(n.entries-1)) {
		t.Errorf("%v has not the last entry with data", p)
	}
}

// Before anything is on the disk there is nothing to hit.
func TestNothingToHit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node-1")
	must(t, os.MkdirAll(dir, 0o700))
	for name, find := range map[string]func(string, *rand.Rand) (Place, error){
		"a table": TableBlock, "the end of one": TableTail, "the manifest": ManifestRecord, "its end": ManifestTail, "a snapshot": SnapshotMeta,
	} {
		if p, err := find(dir, nil); !errors.Is(err, ErrNothing) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// Data is found in an entry as raft-boltdb stores it, however long it is.
func TestDataOfAnEntry(t *testing.T) {
	for _, length := range []int{1, 31, 32, 255, 256, 65535, 65536, 1 << 20} {
		dir := t.TempDir()
		path := filepath.Join(dir, "raft.db")
		log, err := raftboltdb.New(raftboltdb.Options{Path: path})
		must(t, err)
		data := bytes.Repeat([]byte("x"), length)
		must(t, errors.Join(log.StoreLog(&raft.Log{Index: 1, Data: data}), log.Close()))
		must(t, os.MkdirAll(filepath.Join(dir, "node", "raft"), 0o700))
		must(t, os.Rename(path, filepath.Join(dir, "node", "raft", "raft.db")))
		p, err := LogEntry(filepath.Join(dir, "node"), rand.New(rand.NewPCG(1, 1)))
		must(t, err)
		content, err := os.ReadFile(p.File)
		must(t, err)
		if p.Length != int64(length) || !bytes.Equal(content[p.Offset:p.Offset+p.Length], data) {
			t.Errorf("%d bytes are found as %d", length, p.Length)
		}
	}
}

// A snapshot's own files are those without other names.
func TestASnapshotThatIsHit(t *testing.T) {
	n := newNode(t)
	for i, id := range []string{"0000000007", "0000000008", "0000000009.tmp"} {
		at := filepath.Join(n.dir, "state", "snapshots", id)
		must(t, os.MkdirAll(filepath.Join(at, "files"), 0o700))
		meta := make([]byte, 100)
		binary.BigEndian.PutUint64(meta[metaIndexAt:], uint64(10+i))
		binary.BigEndian.PutUint64(meta[metaTermAt:], 2)
		must(t, os.WriteFile(filepath.Join(at, "META"), meta, 0o600))
		must(t, os.WriteFile(filepath.Join(at, "files", "MANIFEST-000007"), []byte("records"), 0o600))
		must(t, os.WriteFile(filepath.Join(at, "files", "marker"), nil, 0o600))
	}
	at := filepath.Join(n.dir, "state", "snapshots", "0000000008")
	must(t, os.Link(filepath.Join(at, "..", "0000000007", "META"), filepath.Join(at, "files", "000004.sst")))
	if last, err := Snapshotted(n.dir); last != 11 || err != nil {
		t.Errorf("it ends at %d, %v", last, err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for want, find := range map[string]func(string, *rand.Rand) (Place, error){
		filepath.Join(at, "files", "MANIFEST-000007"): SnapshotFile, filepath.Join(at, "META"): SnapshotMeta,
	} {
		for range 10 {
			p := n.flip(t, rng, find)
			newest, err := IsNewest(n.dir, p.File)
			if p.File != want || !newest || err != nil {
				t.Errorf("%+v, of the newest: %v, %v", p, newest, err)
			}
		}
	}
	if newest, err := IsNewest(n.dir, filepath.Join(at, "..", "0000000007", "META")); newest || err != nil {
		t.Errorf("the one before is the newest: %v, %v", newest, err)
	}
	p, err := SnapshotTail(n.dir, rng)
	must(t, err)
	must(t, p.Cut())
	if info, err := os.Stat(p.File); err != nil || info.Size() != 50 || p.Offset+p.Length != 100 {
		t.Errorf("%+v leaves %v, %v", p, info, err)
	}
}
