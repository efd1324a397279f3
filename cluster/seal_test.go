package cluster

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

func TestSealedGoldenBytes(t *testing.T) {
	e := &raft.Log{
		Index: 7, Term: 3, Type: raft.LogCommand, Data: []byte("body"), Extensions: []byte("stamp"),
		AppendedAt: time.Unix(1_700_000_000, 5),
	}
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"entry", "c101e17a394a7374616d70", sealEntry(e).Extensions},
		{"entry without extensions", "c101c4674d33", sealEntry(&raft.Log{Index: 1, Type: raft.LogNoop}).Extensions},
		{"variable", "c20153c0756e0000000000000009", sealVariable([]byte("CurrentTerm"), []byte{0, 0, 0, 0, 0, 0, 0, 9})},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if string(e.Extensions) != "stamp" {
		t.Error("the entry that Raft goes on with was changed")
	}
}

// openTestLog opens raft.db in dir; rot is told to told once started is set.
func openTestLog(t *testing.T, dir string) (store *logStore, told *[]error) {
	t.Helper()
	told = &[]error{}
	file, err := openBolt(dir)
	if err != nil {
		t.Fatal(err)
	}
	store = newLogStore(file, func(err error) { *told = append(*told, err) }, func() (uint64, error) { return 0, nil })
	t.Cleanup(func() { _ = store.file.Close() })
	return store, told
}

// sealed is the log below the cache, which would hide the disk.
func (s *logStore) sealed() raft.LogStore { return s.metered.LogStore }

func testEntries(n int) []*raft.Log {
	kinds := []raft.LogType{raft.LogConfiguration, raft.LogNoop, raft.LogCommand, raft.LogBarrier, raft.LogCommand}
	var all []*raft.Log
	for i := range n {
		e := &raft.Log{Index: uint64(i + 1), Term: 2, Type: kinds[i%len(kinds)], AppendedAt: time.Now()}
		if e.Type == raft.LogCommand || e.Type == raft.LogConfiguration {
			e.Data = []byte("what was acknowledged")
		}
		if e.Type == raft.LogCommand {
			e.Extensions = []byte("stamped")
		}
		all = append(all, e)
	}
	return all
}

func sameEntry(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && a.AppendedAt.Equal(b.AppendedAt) &&
		bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Extensions, b.Extensions)
}

// isBareNotFound asks as Raft does, which takes a wrapped error for a failure.
func isBareNotFound(err error) bool { return any(err) == any(raft.ErrLogNotFound) }

func TestSealedLogGivesBackWhatItWasGiven(t *testing.T) {
	store, told := openTestLog(t, t.TempDir())
	entries := testEntries(8)
	if err := store.log.StoreLogs(entries); err != nil {
		t.Fatal(err)
	}
	for _, want := range entries {
		got := raft.Log{Data: []byte("left over")}
		if err := store.sealed().GetLog(want.Index, &got); err != nil || !sameEntry(&got, want) {
			t.Errorf("entry %d: %v, %+v", want.Index, err, got)
		}
	}
	for _, index := range []uint64{0, 9} {
		if err := store.sealed().GetLog(index, new(raft.Log)); !isBareNotFound(err) {
			t.Errorf("entry %d: %v", index, err)
		}
	}
	if len(*told) > 0 {
		t.Error(*told)
	}
}

// rot writes to raft.db behind the store's back. bbolt maps the file, so that an
// open store sees it as it would see a disk that forgets.
type rot struct {
	t      *testing.T
	file   *os.File
	places []int64 // of the stored entry: bbolt leaves old copies of pages behind
	stored []byte
}

// rotEntry finds an entry's stored bytes in dir's raft.db, which is not open.
func rotEntry(t *testing.T, dir string, index uint64) *rot {
	t.Helper()
	path := filepath.Join(dir, "raft.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	r := &rot{t: t}
	err = db.View(func(tx *bbolt.Tx) error {
		r.stored = bytes.Clone(tx.Bucket([]byte("logs")).Get(binary.BigEndian.AppendUint64(nil, index)))
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil || r.stored == nil {
		t.Fatalf("entry %d: %v", index, err)
	}
	if r.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.file.Close() })
	return r
}

// find looks where the entry is now, which on the disk reads as bytes: opening a
// store moves pages.
func (r *rot) find(as []byte) {
	r.t.Helper()
	all, err := os.ReadFile(r.file.Name())
	if err != nil {
		r.t.Fatal(err)
	}
	r.places = nil
	for at := 0; ; at++ {
		next := bytes.Index(all[at:], as)
		if next < 0 {
			break
		}
		at += next
		r.places = append(r.places, int64(at))
	}
	if len(r.places) == 0 {
		r.t.Fatal("the entry is not in the file")
	}
}

// put makes the entry's byte at the offset b.
func (r *rot) put(at int, b byte) {
	r.t.Helper()
	for _, place := range r.places {
		if _, err := r.file.WriteAt([]byte{b}, place+int64(at)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Every single bit of every kind of entry, as bbolt holds it on the disk.
func TestNoFlippedBitIsServed(t *testing.T) {
	dir := t.TempDir()
	store, _ := openTestLog(t, dir)
	entries := testEntries(4)
	if err := errors.Join(store.log.StoreLogs(entries), store.file.Close()); err != nil {
		t.Fatal(err)
	}
	var rots []*rot
	for _, e := range entries {
		rots = append(rots, rotEntry(t, dir, e.Index))
	}
	store, told := openTestLog(t, dir)
	store.alarm.started.Store(true)
	flips, harmless := 0, 0
	for i, want := range entries {
		rots[i].find(rots[i].stored)
		for bit := range len(rots[i].stored) * 8 {
			before := len(*told)
			rots[i].put(bit/8, rots[i].stored[bit/8]^1<<(bit%8))
			var got raft.Log
			err := store.sealed().GetLog(want.Index, &got)
			rots[i].put(bit/8, rots[i].stored[bit/8])
			flips++
			var rotten *rotError
			switch {
			case err == nil && sameEntry(&got, want):
				harmless++ // such as the zone that a time is written in
			case !errors.As(err, &rotten) || len(*told) != before+1:
				t.Fatalf("entry %d, bit %d: %v, %+v, told %d", want.Index, bit, err, got, len(*told)-before)
			}
		}
	}
	t.Logf("%d flips, %d changed nothing", flips, harmless)
	if harmless*10 > flips {
		t.Errorf("%d of %d flips were not seen", harmless, flips)
	}
	for _, err := range *told {
		if !strings.Contains(err.Error(), "of the log in raft.db has rotted") || !strings.Contains(err.Error(), startCure) {
			t.Fatal(err)
		}
	}
}

// An entry in another's place, one without a seal, and one that is gone.
func TestMisplacedEntriesAreRot(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(s *logStore) error
	}{
		{"no checksum", "no checksum", func(s *logStore) error { return s.file.StoreLog(testEntries(2)[1]) }},
		{"a hole", "missing", func(s *logStore) error { return s.file.DeleteRange(2, 2) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, told := openTestLog(t, t.TempDir())
			if err := store.log.StoreLogs(testEntries(5)); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(store); err != nil {
				t.Fatal(err)
			}
			err := store.sealed().GetLog(2, new(raft.Log))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "entry 2 ") {
				t.Errorf("%v", err)
			}
			if len(*told) > 0 {
				t.Errorf("told before the start: %v", *told)
			}
		})
	}
}

// What a snapshot covers may be missing, and so may what a cut took meanwhile.
func TestMissingEntriesThatAreNoRot(t *testing.T) {
	store, told := openTestLog(t, t.TempDir())
	store.alarm.started.Store(true)
	floor := uint64(3)
	log := &sealedLog{LogStore: store.file, alarm: store.alarm, floor: func() (uint64, error) { return floor, nil }}
	if err := log.StoreLogs(testEntries(5)); err != nil {
		t.Fatal(err)
	}
	if err := log.DeleteRange(2, 3); err != nil {
		t.Fatal(err)
	}
	missing := func(when string, index uint64) {
		t.Helper()
		if err := log.GetLog(index, new(raft.Log)); !isBareNotFound(err) {
			t.Errorf("%s: %v", when, err)
		}
	}
	missing("covered", 2)
	floor = 0
	log.cutsBegun.Add(1)
	missing("during a cut", 2)
	log.cutsBegun.Add(-1)
	if len(*told) > 0 {
		t.Error(*told)
	}
	if err := log.GetLog(2, new(raft.Log)); err == nil || len(*told) != 1 {
		t.Errorf("a hole: %v, told %v", err, *told)
	}
}

// Term and vote, too.
func TestRottenVariables(t *testing.T) {
	store, told := openTestLog(t, t.TempDir())
	store.alarm.started.Store(true)
	if err := errors.Join(store.variables.SetUint64([]byte("CurrentTerm"), 7), store.variables.Set([]byte("LastVoteCand"), []byte("n1"))); err != nil {
		t.Fatal(err)
	}
	term, err := store.variables.GetUint64([]byte("CurrentTerm"))
	vote, verr := store.variables.Get([]byte("LastVoteCand"))
	if err != nil || verr != nil || term != 7 || string(vote) != "n1" {
		t.Fatalf("%d %q %v %v", term, vote, err, verr)
	}
	if _, err := store.variables.GetUint64([]byte("LastVoteTerm")); err == nil || err.Error() != "not found" {
		t.Errorf("what was never set: %v", err)
	}
	stored, err := store.file.Get([]byte("LastVoteCand"))
	if err != nil {
		t.Fatal(err)
	}
	stored[len(stored)-1] ^= 1
	spoil := errors.Join(store.file.Set([]byte("LastVoteCand"), stored), store.file.SetUint64([]byte("CurrentTerm"), 8))
	if spoil != nil {
		t.Fatal(spoil)
	}
	if _, err := store.variables.Get([]byte("LastVoteCand")); err == nil || !strings.Contains(err.Error(), "LastVoteCand in raft.db has rotted") {
		t.Errorf("vote: %v", err)
	}
	if _, err := store.variables.GetUint64([]byte("CurrentTerm")); err == nil || len(*told) != 2 {
		t.Errorf("term: %v, told %v", err, *told)
	}
}

// A node whose log has rotted doesn't start, and cuts nothing off; with the
// byte as it was it starts again, with everything.
func TestRottenLogRefusesToStart(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"a", "b", "c"} {
		m.mustPropose(body)
	}
	dir := filepath.Join(m.cfg.DataDir, "raft")
	for _, kind := range []raft.LogType{raft.LogConfiguration, raft.LogNoop, raft.LogBarrier, raft.LogCommand} {
		m.stop()
		m.gate, m.sm = &testGate{}, newBytelog()
		store, _ := openTestLog(t, dir)
		index := firstOfKind(t, store, kind)
		if err := store.file.Close(); err != nil {
			t.Fatal(err)
		}
		r := rotEntry(t, dir, index)
		r.find(r.stored)
		at := bytes.LastIndex(r.stored, []byte("Term")) // the name of the field
		rotten := bytes.Clone(r.stored)
		rotten[at] ^= 0x10
		r.put(at, rotten[at])
		n, err := m.open()
		want := fmt.Sprintf("entry %d of the log in raft.db has rotted", index)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", kind, err, want)
			if err == nil {
				_ = n.Shutdown(m.ctx())
			}
		}
		r.find(rotten)
		r.put(at, r.stored[at])
		m.start()
		if got := m.read(); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("%s: with the byte as it was: %q", kind, got)
		}
	}
}

func firstOfKind(t *testing.T, store *logStore, kind raft.LogType) uint64 {
	t.Helper()
	last, err := store.file.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for index := uint64(1); index <= last; index++ {
		var e raft.Log
		if err := store.file.GetLog(index, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == kind {
			return index
		}
	}
	t.Fatalf("no entry of kind %s", kind)
	return 0
}
