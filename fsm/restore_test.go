package fsm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

// twoStates returns a rig, its dump, and the snapshot of another state.
func twoStates(t *testing.T) (*rig, *dumped, []byte) {
	other := newRig(t)
	other.setUp(10)
	other.mustApply(newSync(Incremental, upsert("n", "a", "other"), upsert("n", "b", "other")))
	r := newRig(t)
	r.setUp(10)
	r.mustApply(newSync(Incremental, upsert("n", "a", "mine")))
	return r, dump(t, r.fsm), other.snapshot()
}

// Whatever is wrong with a stream, the old state goes on, in this process and
// after a restart, and nothing is left behind.
func TestFailedRestoreLeavesTheOldState(t *testing.T) {
	r, before, stream := twoStates(t)
	broken := map[string]io.Reader{
		"empty":           bytes.NewReader(nil),
		"no header":       bytes.NewReader(stream[:20]),
		"cut in a file":   bytes.NewReader(stream[:len(stream)-10]),
		"a byte more":     bytes.NewReader(append(bytes.Clone(stream), 0)),
		"a failed reader": io.MultiReader(bytes.NewReader(stream[:len(stream)/2]), failingReader{}),
	}
	for at := 0; at < len(stream); at += 1 + len(stream)/40 {
		changed := bytes.Clone(stream)
		changed[at] ^= 0x10
		broken[string(rune('0'+at%10))+" changed byte"] = bytes.NewReader(changed)
	}
	for name, in := range broken {
		id, err := r.install(in, 100)
		if err == nil {
			err = r.restoreFrom(id)
		}
		if err == nil {
			t.Errorf("%s: restored", name)
		}
		if diff := cmp.Diff(before, dump(t, r.fsm)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"CURRENT", "db-0000000001", "snapshots"}, listDir(t, r.dir)); diff != "" {
		t.Error(diff)
	}
	if left := listDir(t, filepath.Join(r.dir, snapshotsName)); len(left) > 0 {
		t.Errorf("snapshots are left: %v", left)
	}
	r.mustApply(newSync(Incremental, upsert("n", "c", "after")))
	want := dump(t, r.fsm)
	r.reopen()
	if diff := cmp.Diff(want, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
}

type failingReader struct{}

var errReader = errors.New("the connection broke")

func (failingReader) Read([]byte) (int, error) { return 0, errReader }

// A header that doesn't describe its files: every checksum holds, and still.
func TestRestoreComparesTheHeaderWithTheDatabase(t *testing.T) {
	r, before, _ := twoStates(t)
	s, err := r.fsm.Snapshot()
	must(t, err)
	defer s.Release()
	s.(*snapshot).header.AppliedIndex++
	sink := r.sinkFor(r.fsm.Applied() + 1)
	must(t, s.Persist(sink))
	if err := r.restoreFrom(sink.ID()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(before, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
}

// A directory in the place of CURRENT.tmp makes the move fail before it happens.
func TestRestoreThatCannotMoveCurrent(t *testing.T) {
	r, before, stream := twoStates(t)
	temp := filepath.Join(r.dir, currentTemp)
	must(t, os.MkdirAll(filepath.Join(temp, "not empty"), 0o700))
	if err := r.restore(stream); err == nil {
		t.Error("restored")
	}
	if diff := cmp.Diff(before, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
	must(t, os.RemoveAll(temp))
	must(t, r.restore(stream))
}

func TestRestoreReplacesTheState(t *testing.T) {
	r, _, stream := twoStates(t)
	old := r.view()
	must(t, r.restore(stream))
	if got := listDir(t, r.dir); len(got) != 4 {
		t.Errorf("while a view of the old state is open: %v", got)
	}
	if got := readAll(t, old, "n"); len(got) != 1 || string(got[0].Data) != "mine" {
		t.Errorf("the old view: %+v", got)
	}
	now := r.view()
	if got := readAll(t, now, "n"); len(got) != 2 || string(got[0].Data) != "other" {
		t.Errorf("the new view: %+v", got)
	}
	now.Close()
	old.Close()
	old.Close()
	if diff := cmp.Diff([]string{"CURRENT", "db-0000000002", "snapshots"}, listDir(t, r.dir)); diff != "" {
		t.Error(diff)
	}
	want := dump(t, r.fsm)
	r.reopen()
	if diff := cmp.Diff(want, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
}

// blockedFS lets a test look at a restore that is under way.
type blockedFS struct {
	storage.FS
	reached, proceed chan struct{}
}

func (fs *blockedFS) Link(from, to string) error {
	if fs.reached != nil {
		close(fs.reached)
		fs.reached = nil
		<-fs.proceed
	}
	return fs.FS.Link(from, to)
}

func TestDuringARestoreNothingIsRead(t *testing.T) {
	_, _, other := twoStates(t)
	fs := &blockedFS{FS: storage.OSFS(), proceed: make(chan struct{})}
	r := &rig{t: t, dir: t.TempDir(), next: 10, wall: testWall, opts: func(o *Options) { o.FS = fs }}
	r.open()
	t.Cleanup(r.close)
	r.setUp(10)
	ctx := t.Context()
	waited := make(chan error, 1)
	go func() { waited <- r.fsm.WaitApplied(ctx, 1000) }()
	awaitWaiters(r.fsm, 1)
	reached := make(chan struct{})
	fs.reached = reached
	restored := make(chan error, 1)
	go func() { restored <- r.restore(other) }()
	<-reached
	if err := <-waited; !errors.Is(err, ErrNotReady) {
		t.Errorf("who waited was told: %v", err)
	}
	if _, err := r.fsm.View(); !errors.Is(err, ErrNotReady) {
		t.Errorf("view: %v", err)
	}
	if err := r.fsm.WaitApplied(ctx, 1); !errors.Is(err, ErrNotReady) {
		t.Errorf("wait: %v", err)
	}
	close(fs.proceed)
	must(t, <-restored)
	must(t, r.fsm.WaitApplied(ctx, 1))
}

func TestSnapshotOfAnEmptyState(t *testing.T) {
	r := newRig(t)
	stream := r.snapshot()
	r.setUp(10)
	must(t, r.restore(stream))
	if r.fsm.Applied() != 0 {
		t.Errorf("applied %d", r.fsm.Applied())
	}
}

func TestSnapshotIsOfItsMoment(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	want := dump(t, r.fsm)
	s, err := r.fsm.Snapshot()
	must(t, err)
	r.mustApply(newSync(FullRefresh, upsert("n", "a", "later")))
	sink := r.sinkFor(r.fsm.Applied())
	must(t, s.Persist(sink))
	s.Release()
	if diff := cmp.Diff([]string{"CURRENT", "db-0000000001", "snapshots"}, listDir(t, r.dir)); diff != "" {
		t.Error(diff)
	}
	must(t, r.restoreFrom(sink.ID()))
	if diff := cmp.Diff(want, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
}
