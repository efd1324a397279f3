package fsm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"pipesync/storage"
)

// dies runs f, in which Fatal ends the goroutine as it would the process, and
// returns what Fatal was told. It fails if f returns.
func dies(t *testing.T, r *rig, f func()) error {
	t.Helper()
	var told error
	returned := false
	done := make(chan struct{})
	r.fsm.opts.Fatal = func(err error) { told = err; runtime.Goexit() }
	go func() {
		defer close(done)
		f()
		returned = true
	}()
	<-done
	if returned {
		t.Error("a response was returned")
	}
	if told == nil {
		t.Fatal("Fatal was not called")
	}
	return told
}

func TestApplyDies(t *testing.T) {
	unknown := func(at int, value byte) func(*raft.Log) {
		return func(l *raft.Log) {
			l.Data = bytes.Clone(l.Data)
			l.Data[at] = value
			sealEntry(l.Data)
			l.Extensions = EncodeStamp(Stamp{Term: l.Term}, l.Data)
		}
	}
	cases := []struct {
		name  string
		spoil func(*raft.Log)
		want  string
		is    error
	}{
		{"rot in the body", func(l *raft.Log) { l.Data[30] ^= 1 }, "pipesync reseed", ErrCorrupt},
		{"rot in the stamp", func(l *raft.Log) { l.Extensions[5] ^= 1 }, "pipesync reseed", ErrCorrupt},
		{"no stamp", func(l *raft.Log) { l.Extensions = nil }, "pipesync reseed", ErrCorrupt},
		{"unknown kind", unknown(0, 77), "older than the cluster", ErrUnknownFormat},
		{"unknown version", unknown(1, 77), "older than the cluster", ErrUnknownFormat},
		{"unknown stamp version", func(l *raft.Log) { l.Extensions[1] = 9 }, "older than the cluster", ErrUnknownFormat},
		{"a poison entry", func(l *raft.Log) {
			l.Data = rawSync(1, 7, nil)
			l.Extensions = EncodeStamp(Stamp{Term: l.Term}, l.Data)
		}, "operations block", ErrCorrupt},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			r := newRig(t)
			r.setUp(10)
			before := dump(t, r.fsm)
			l := r.entry(newSync(Incremental, upsert("n", "a", "1")))
			c.spoil(l)
			err := dies(t, r, func() { r.fsm.Apply(l) })
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "entry 14") {
				t.Errorf("Fatal was told: %v", err)
			}
			if diff := cmp.Diff(before, dump(t, r.fsm)); diff != "" {
				t.Error("the state changed: ", diff)
			}
		})
	}
}

func TestPanicInApplyDies(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.fsm.opts.Observe = func(uint64, int64) { panic("boom") }
	err := dies(t, r, func() { r.fsm.Apply(r.entry(newSync(Incremental))) })
	if !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "fatal_test.go") {
		t.Errorf("Fatal was told: %v", err)
	}
}

// A row that can't be there is as fatal as a disk that fails.
func TestStorageErrorInApplyDies(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	b := r.fsm.current.db.NewBatch()
	b.PutChanges(1, storage.Seq{Index: 1}, []storage.ChangeAt{{Change: storage.Change{Namespace: 77, ID: "a"}}})
	must(t, b.Commit())
	must(t, b.Close())
	l := r.entry(&ChangeCollect{Store: 1, Until: storage.Seq{Index: 5}})
	if err := dies(t, r, func() { r.fsm.Apply(l) }); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Fatal was told: %v", err)
	}
}

func TestFencedEntryChangesNothing(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	observed := 0
	r.fsm.opts.Observe = func(uint64, int64) { observed++ }
	before := dump(t, r.fsm)
	for _, spoil := range []func(*raft.Log){
		func(l *raft.Log) { l.Term++ },
		func(l *raft.Log) { l.Term-- },
		// A newer leader's kinds are no reason to die where they are fenced.
		func(l *raft.Log) {
			l.Data[0], l.Term = 77, l.Term+1
			l.Extensions = EncodeStamp(Stamp{Term: testTerm}, l.Data)
		},
	} {
		r.now += second
		l := r.entry(newSync(Incremental, upsert("n", "a", "1")))
		spoil(l)
		response := r.fsm.Apply(l)
		fenced, ok := response.(interface{ NotApplied() bool })
		if _, isError := response.(error); !ok || !isError || !fenced.NotApplied() {
			t.Fatalf("response %T %v", response, response)
		}
		if diff := cmp.Diff(before, dump(t, r.fsm)); diff != "" {
			t.Error(diff)
		}
	}
	if r.fsm.Applied() != before.System.AppliedIndex || observed != 0 {
		t.Errorf("applied %d, observed %d", r.fsm.Applied(), observed)
	}
}

func TestObserveComesBeforeApplied(t *testing.T) {
	r := newRig(t)
	type seen struct {
		index uint64
		time  int64
	}
	var got []seen
	r.fsm.opts.Observe = func(index uint64, clusterTime int64) {
		if r.fsm.Applied() >= index {
			t.Error("applied before it was observed")
		}
		got = append(got, seen{index, clusterTime})
	}
	r.now = 5
	r.apply(testBootstrap(1))
	r.now = 3
	l := r.entry(&StoreCreate{Org: "org_a", Store: "vs_a"})
	r.applyLog(l)
	r.fsm.Apply(l)
	if diff := cmp.Diff([]seen{{10, 5}, {12, 5}}, got, cmp.AllowUnexported(seen{})); diff != "" {
		t.Error(diff)
	}
}

func TestOpenRefuses(t *testing.T) {
	fatal := func(error) {}
	for name, o := range map[string]Options{"no directory": {Fatal: fatal}, "no Fatal": {Dir: t.TempDir()}} {
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, current := range []string{"", "db-1\n", "../db-0000000001\n", "db-0000000001", strings.Repeat("x", 100)} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, currentName), []byte(current), 0o600))
		if _, err := Open(Options{Dir: dir, Fatal: fatal}); err == nil {
			t.Errorf("CURRENT of %q was accepted", current)
		}
	}
	for _, name := range []string{"state", "[state", "st[a-b]te"} { // names are no patterns
		dir := filepath.Join(t.TempDir(), name)
		must(t, os.MkdirAll(filepath.Join(dir, "db-0000000002"), 0o700))
		if _, err := Open(Options{Dir: dir, Fatal: fatal}); err == nil || !strings.Contains(err.Error(), "has databases but no CURRENT") {
			t.Errorf("a database without CURRENT in %s: %v", name, err)
		}
	}
}

func TestOpenRemovesLeftovers(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.close()
	for _, name := range []string{"db-0000000002", "checkpoint-1"} {
		must(t, os.Mkdir(filepath.Join(r.dir, name), 0o700))
	}
	must(t, os.WriteFile(filepath.Join(r.dir, currentTemp), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(r.dir, "notes"), nil, 0o600))
	r.open()
	if r.fsm.Applied() != 12 {
		t.Errorf("applied %d", r.fsm.Applied())
	}
	if diff := cmp.Diff([]string{"CURRENT", "db-0000000001", "notes", "snapshots"}, listDir(t, r.dir)); diff != "" {
		t.Error(diff)
	}
}

func listDir(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
