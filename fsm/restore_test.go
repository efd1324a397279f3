package fsm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		if err := r.fsm.Restore(io.NopCloser(in)); err == nil {
			t.Errorf("%s: restored", name)
		}
		if diff := cmp.Diff(before, dump(t, r.fsm)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"CURRENT", "db-0000000001"}, listDir(t, r.dir)); diff != "" {
		t.Error(diff)
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
	var sink memorySink
	must(t, s.Persist(&sink))
	if err := r.restore(sink.Bytes()); !errors.Is(err, ErrCorrupt) {
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
	must(t, os.Mkdir(temp, 0o700))
	if err := r.restore(stream); err == nil {
		t.Error("restored")
	}
	if diff := cmp.Diff(before, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
	must(t, os.Remove(temp))
	must(t, r.restore(stream))
}

func TestRestoreReplacesTheState(t *testing.T) {
	r, _, stream := twoStates(t)
	old := r.view()
	must(t, r.restore(stream))
	if got := listDir(t, r.dir); len(got) != 3 {
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
	if diff := cmp.Diff([]string{"CURRENT", "db-0000000002"}, listDir(t, r.dir)); diff != "" {
		t.Error(diff)
	}
	want := dump(t, r.fsm)
	r.reopen()
	if diff := cmp.Diff(want, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
}

// blockedStream lets a test look at a restore that is under way.
type blockedStream struct {
	io.Reader
	reached, proceed chan struct{}
	closed           bool
}

func (s *blockedStream) Read(b []byte) (int, error) {
	if s.reached != nil {
		close(s.reached)
		s.reached = nil
		<-s.proceed
	}
	return s.Reader.Read(b)
}

func (s *blockedStream) Close() error { s.closed = true; return nil }

func TestDuringARestoreNothingIsRead(t *testing.T) {
	r, _, stream := twoStates(t)
	ctx := t.Context()
	waited := make(chan error, 1)
	go func() { waited <- r.fsm.WaitApplied(ctx, 1000) }()
	awaitWaiters(r.fsm, 1)
	s := &blockedStream{Reader: bytes.NewReader(stream), reached: make(chan struct{}), proceed: make(chan struct{})}
	restored := make(chan error, 1)
	reached := s.reached
	go func() { restored <- r.fsm.Restore(s) }()
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
	close(s.proceed)
	must(t, <-restored)
	if !s.closed {
		t.Error("the stream was left open")
	}
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
	var sink memorySink
	must(t, s.Persist(&sink))
	s.Release()
	if diff := cmp.Diff([]string{"CURRENT", "db-0000000001"}, listDir(t, r.dir)); diff != "" {
		t.Error(diff)
	}
	must(t, r.restore(sink.Bytes()))
	if diff := cmp.Diff(want, dump(t, r.fsm)); diff != "" {
		t.Error(diff)
	}
}

// failingSink takes a while to fail.
type failingSink struct {
	memorySink
	left int
}

func (s *failingSink) Write(b []byte) (int, error) {
	if s.left -= len(b); s.left < 0 {
		return 0, errReader
	}
	return s.memorySink.Write(b)
}

func TestPersistCancelsWhatItCannotWrite(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	s, err := r.fsm.Snapshot()
	must(t, err)
	defer s.Release()
	sink := &failingSink{left: 100}
	if err := s.Persist(sink); !errors.Is(err, errReader) || !sink.cancelled || sink.closed {
		t.Errorf("%v, cancelled %v, closed %v", err, sink.cancelled, sink.closed)
	}
}
