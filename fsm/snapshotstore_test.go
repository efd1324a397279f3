package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"pipesync/internal/crashfs"
	"pipesync/storage"
)

func (r *rig) snapshotsDir() string { return filepath.Join(r.dir, snapshotsName) }

func TestSnapshotsAreListedNewestFirst(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	first := r.persist()
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	second := r.persist()
	again := r.persist() // of the same entry
	for _, when := range []string{"at once", "after a restart"} {
		list, err := r.fsm.Snapshots().List()
		must(t, err)
		var ids []string
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		if diff := cmp.Diff([]string{again, second}, ids); diff != "" {
			t.Error(when, diff)
		}
		if s := list[0]; s.Index != 14 || s.Term != testTerm || s.Version != 1 || s.ConfigurationIndex != 1 ||
			len(s.Configuration.Servers) != 1 || s.Configuration.Servers[0].ID != "n1" {
			t.Errorf("%s: %+v", when, s)
		}
		r.reopen()
	}
	if _, _, err := r.fsm.Snapshots().Open(first); err == nil {
		t.Error("more snapshots are kept than shall be")
	}
	next := r.persist()
	if next <= again {
		t.Errorf("snapshot %s comes after %s", next, again)
	}
}

// A stream that is being read keeps its snapshot, as long as it takes.
func TestOpenPinsASnapshot(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	old := r.persist()
	_, stream, err := r.fsm.Snapshots().Open(old)
	must(t, err)
	want := r.streamOf(old)
	for i := range 3 {
		r.mustApply(newSync(Incremental, upsert("n", idOf(i), "1")))
		r.persist()
	}
	if got := listDir(t, r.snapshotsDir()); len(got) != snapshotsKept+1 {
		t.Errorf("while one is read there are %v", got)
	}
	got, err := io.ReadAll(stream)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Error("the stream has changed")
	}
	must(t, stream.Close())
	must(t, stream.Close())
	if got := listDir(t, r.snapshotsDir()); len(got) != snapshotsKept || slices.Contains(got, old) {
		t.Errorf("afterwards there are %v", got)
	}
}

// A snapshot that sorts behind others is there until raft has opened it.
func TestTheOneJustMadeIsKept(t *testing.T) {
	early := newRig(t)
	early.setUp(10)
	stream := early.snapshot()
	r := newRig(t)
	r.setUp(10)
	for i := range 3 {
		r.mustApply(newSync(Incremental, upsert("n", idOf(i), "1")))
		r.persist()
	}
	must(t, r.restore(stream))
	r.expectApplied("restored", 12)
}

// watched counts what is done to files.
type watched struct {
	mu     sync.Mutex
	tables int // of checkpoints, opened
	made   int // files of snapshots; the database makes its own when it likes
}

func (w *watched) see(op, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case op == crashfs.Created && strings.Contains(name, snapshotsName):
		w.made++
	case strings.Contains(name, checkpointPrefix) && storage.WrittenOnce(name):
		w.tables++
	}
}

func (w *watched) reset() (tables, made int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tables, made = w.tables, w.made
	w.tables, w.made = 0, 0
	return tables, made
}

// A snapshot sums the files that are new since the last one, in this process or
// the one before, and copies none.
func TestASnapshotCostsWhatIsNew(t *testing.T) {
	r, w := newCrashingRig(t), &watched{}
	r.fsm.opts.FS.(*crashfs.FS).Watch(w.see)
	r.setUp(1000)
	known, again := map[string]bool{}, 0
	persist := func(when string) {
		t.Helper()
		s, err := r.fsm.Snapshot()
		must(t, err)
		defer s.Release()
		w.reset()
		must(t, s.Persist(r.sinkFor(r.fsm.Applied())))
		tables, made := w.reset()
		seen, added := known, 0
		known = map[string]bool{}
		for _, f := range r.fsm.snapshots.newest().meta.Header.Files {
			switch {
			case !storage.WrittenOnce(f.Name):
				continue
			case seen[f.Name]:
				again++
			default:
				added++
			}
			known[f.Name] = true
		}
		if tables != added || made != 1 {
			t.Errorf("%s: %d tables were read and %d files made, want %d and META", when, tables, made, added)
		}
	}
	persist("the first")
	persist("nothing is new")
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	persist("something is new")
	r.reopen()
	persist("after a restart")
	must(t, r.restoreFrom(r.newestID()))
	persist("after a restore")
	if again < 3 {
		t.Errorf("only %d tables were met again: the test shows nothing", again)
	}
}

func (r *rig) newestID() string {
	r.t.Helper()
	list, err := r.fsm.Snapshots().List()
	must(r.t, err)
	return list[0].ID
}

// Only a handful of small files is copied to restore a local snapshot.
func TestRestoreLinksFiles(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	must(t, r.restoreFrom(r.persist()))
	id := r.newestID()
	tables := 0
	for _, name := range listDir(t, filepath.Join(r.snapshotsDir(), id, filesName)) {
		there, err := os.Stat(filepath.Join(r.snapshotsDir(), id, filesName, name))
		must(t, err)
		here, err := os.Stat(filepath.Join(r.fsm.current.dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // replaced when the database was opened
		}
		must(t, err)
		if linked := os.SameFile(here, there); linked != storage.WrittenOnce(name) {
			t.Errorf("%s: linked %v", name, linked)
		}
		if storage.WrittenOnce(name) {
			tables++
		}
	}
	if tables == 0 {
		t.Error("there is no table: the test shows nothing")
	}
}

func TestOpenRefusesSnapshots(t *testing.T) {
	meta := func(change func([]byte) []byte) func(t *testing.T, dir, id string) {
		return func(t *testing.T, dir, id string) {
			path := filepath.Join(dir, id, metaName)
			b, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, change(b), 0o600))
		}
	}
	for _, c := range []struct {
		name, want string
		spoil      func(t *testing.T, dir, id string)
	}{
		{"rotted", "checksum differs", meta(func(b []byte) []byte { b[20] ^= 1; return b })},
		{"cut off", "corrupt", meta(func(b []byte) []byte { return b[:4] })},
		{"newer", "older than the cluster", meta(func(b []byte) []byte {
			b[1]++
			binary.BigEndian.PutUint32(b[metaSumAt:], metaSum(b))
			return b
		})},
		{"another kind", "is no snapshot's meta", meta(func(b []byte) []byte { b[0] = formatSnapshot; return b })},
		{"without META", "no such file", func(t *testing.T, dir, id string) { must(t, os.Remove(filepath.Join(dir, id, metaName))) }},
		{"by raft", "no snapshot that this program has made", func(t *testing.T, dir, _ string) {
			must(t, os.Mkdir(filepath.Join(dir, "3-14-1700000000000"), 0o700))
		}},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			r := newRig(t)
			r.setUp(10)
			id := r.persist()
			must(t, r.fsm.Close())
			c.spoil(t, r.snapshotsDir(), id)
			_, err := Open(Options{Dir: r.dir, Fatal: func(error) {}})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), r.snapshotsDir()) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestUnfinishedSnapshotsGo(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	id := r.persist()
	r.close()
	half := filepath.Join(r.snapshotsDir(), "0000000007.tmp", filesName)
	must(t, os.MkdirAll(half, 0o700))
	must(t, os.WriteFile(filepath.Join(half, "000004.sst"), []byte("half"), 0o600))
	r.open()
	if diff := cmp.Diff([]string{id}, listDir(t, r.snapshotsDir())); diff != "" {
		t.Error(diff)
	}
}

func TestSinks(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	stream := r.snapshot()
	id := r.newestID()
	for name, use := range map[string]func(raft.SnapshotSink) error{
		"cancelled": func(s raft.SnapshotSink) error { return s.Cancel() },
		"cancelled on its way": func(s raft.SnapshotSink) error {
			_, err := s.Write(stream[:len(stream)/2])
			return errors.Join(err, s.Cancel())
		},
	} {
		sink := r.sinkFor(12)
		if err := use(sink); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := errors.Join(sink.Cancel(), sink.Close()); err != nil {
			t.Errorf("%s, ended again: %v", name, err)
		}
		if _, err := sink.Write(stream); err == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
	if err := r.sinkFor(12).Close(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("closed without a stream: %v", err)
	}
	if _, err := r.install(bytes.NewReader(stream), 11); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a snapshot that holds more than it should: %v", err)
	}
	if _, err := r.fsm.Snapshots().Create(0, 12, testTerm, raft.Configuration{}, 1, nil); err == nil {
		t.Error("a snapshot of version 0 is made")
	}
	if diff := cmp.Diff([]string{id}, listDir(t, r.snapshotsDir())); diff != "" {
		t.Error(diff)
	}
}

// What is wrong with a stream is told while it is received: a leader need not
// send the rest.
func TestASinkVerifiesAsItReceives(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	for i := range 20 {
		r.mustApply(newSync(Incremental, upsert("n", idOf(i), strings.Repeat(fmt.Sprint(i), 1000))))
		must(t, r.fsm.Flush())
	}
	stream := r.snapshot()
	header := headerBytes(t, stream)
	stream[len(header)+10] ^= 1 // of the first file
	sink := r.sinkFor(r.fsm.Applied())
	written := 0
	var err error
	for ; err == nil && written < len(stream); written += 1000 {
		_, err = sink.Write(stream[written:min(written+1000, len(stream))])
	}
	// The reader's buffer is ahead of what is verified.
	if !errors.Is(err, ErrCorrupt) || written > len(header)+copyBufferBytes+10_000 {
		t.Errorf("after %d of %d bytes: %v", written, len(stream), err)
	}
	must(t, sink.Cancel())
}

// otherSink belongs to no store of ours.
type otherSink struct {
	bytes.Buffer
	cancelled bool
}

func (s *otherSink) ID() string    { return "other" }
func (s *otherSink) Close() error  { return nil }
func (s *otherSink) Cancel() error { s.cancelled = true; return nil }

func TestOtherStoresAreRefused(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	s, err := r.fsm.Snapshot()
	must(t, err)
	sink := &otherSink{}
	if err := s.Persist(sink); err == nil || !sink.cancelled || sink.Len() > 0 {
		t.Errorf("%v, cancelled %v", err, sink.cancelled)
	}
	s.Release()
	other := newRig(t)
	_, stream, err := r.fsm.Snapshots().Open(r.persist())
	must(t, err)
	if err := other.fsm.Restore(stream); err == nil || !strings.Contains(err.Error(), "of another store") {
		t.Errorf("another's snapshot: %v", err)
	}
	if err := other.fsm.Restore(io.NopCloser(bytes.NewReader(nil))); err == nil {
		t.Error("a stream of nothing was restored")
	}
	if got := listDir(t, r.dir); slices.Contains(got, "checkpoint-1") {
		t.Errorf("a checkpoint is left: %v", got)
	}
}

// A snapshot that has rotted is never restored.
func TestARottedSnapshotIsNotRestored(t *testing.T) {
	r, before, _ := twoStates(t)
	id := r.persist()
	for _, f := range r.fsm.snapshots.newest().meta.Header.Files {
		path := filepath.Join(r.snapshotsDir(), id, filesName, f.Name)
		whole, err := os.ReadFile(path)
		must(t, err)
		if len(whole) == 0 {
			continue
		}
		for _, rotted := range [][]byte{append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1), whole[:len(whole)-1], append(bytes.Clone(whole), 0)} {
			must(t, os.Remove(path)) // the database has the same file
			must(t, os.WriteFile(path, rotted, 0o600))
			if err := r.restoreFrom(id); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), f.Name) {
				t.Errorf("%s was restored: %v", f.Name, err)
			}
		}
		must(t, os.WriteFile(path, whole, 0o600))
	}
	if diff := cmp.Diff(before, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
	must(t, r.restoreFrom(id))
}
