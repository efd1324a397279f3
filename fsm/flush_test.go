package fsm

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

// crash returns a copy of the directory as a process that was killed now would
// leave it: without what is in memory. Pebble makes and removes files meanwhile:
// only a copy during which none came or went is of one moment.
func (r *rig) crash() *rig {
	r.t.Helper()
	for {
		dir := filepath.Join(r.t.TempDir(), "crashed")
		before := r.files()
		err := os.CopyFS(dir, os.DirFS(r.dir))
		if errors.Is(err, fs.ErrNotExist) || !slices.Equal(before, r.files()) {
			continue
		}
		must(r.t, err)
		return newRigIn(r.t, dir)
	}
}

func (r *rig) files() (names []string) {
	r.t.Helper()
	err := filepath.WalkDir(r.dir, func(name string, _ fs.DirEntry, err error) error {
		names = append(names, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	must(r.t, err)
	return names
}

func (r *rig) expectApplied(when string, want uint64) {
	r.t.Helper()
	if got := r.fsm.Applied(); got != want {
		r.t.Errorf("%s: applied %d, want %d", when, got, want)
	}
}

func TestFlushOutlivesACrash(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.crash().expectApplied("not flushed", 0)
	must(t, r.fsm.Flush())
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	r.crash().expectApplied("flushed before the last entry", 12)
	flushes := r.fsm.current.db.Metrics().Flushes
	must(t, r.fsm.Flush())
	must(t, r.fsm.Flush())
	if got := r.fsm.current.db.Metrics().Flushes; got != flushes+1 {
		t.Errorf("%d flushes of one entry", got-flushes)
	}
	r.crash().expectApplied("flushed", 14)
	stream := r.snapshot()
	must(t, r.restore(stream))
	r.crash().expectApplied("restored", 14)
}

func TestFlushIsDueByBytes(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	due := func() bool {
		select {
		case <-r.fsm.FlushDue():
			return true
		default:
			return false
		}
	}
	l := r.entry(newSync(Incremental, upsert("n", "a", "1")))
	size := int64(len(l.Data) + len(l.Extensions))
	r.fsm.unflushed.Store(maxUnflushedBytes - size - 1)
	r.applyLog(l)
	if due() {
		t.Error("due a byte too early")
	}
	r.mustApply(newSync(Incremental))
	if !due() {
		t.Error("not due")
	}
	must(t, r.fsm.Flush())
	r.mustApply(newSync(Incremental))
	if due() {
		t.Error("due again after the flush")
	}
	// Snapshots flush, too, and a restored database is on disk.
	r.snapshot()
	if n := r.fsm.unflushed.Load(); n != 0 {
		t.Errorf("%d bytes are unflushed after a snapshot", n)
	}
}

// replicated is a state machine under a real raft, whose log and snapshots
// outlive it.
type replicated struct {
	*raft.Raft
	r         *rig
	log       *raft.InmemStore
	snapshots raft.SnapshotStore
}

func (c *replicated) start() {
	c.r.t.Helper()
	conf := raft.DefaultConfig()
	conf.LocalID, conf.LogOutput = "solo", io.Discard
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	conf.TrailingLogs, conf.SnapshotThreshold = 0, 1<<62
	conf.NoSnapshotRestoreOnStart = true
	addr, transport := raft.NewInmemTransport("solo")
	first := raft.Configuration{Servers: []raft.Server{{ID: "solo", Address: addr}}}
	if last, err := c.log.LastIndex(); err != nil || last == 0 {
		must(c.r.t, raft.BootstrapCluster(conf, c.log, c.log, c.snapshots, transport, first))
	}
	var err error
	c.Raft, err = raft.NewRaft(conf, c.r.fsm, c.log, c.log, c.snapshots, transport)
	must(c.r.t, err)
	for !<-c.LeaderCh() {
	}
	must(c.r.t, c.Barrier(0).Error())
}

func (c *replicated) stop() { must(c.r.t, c.Shutdown().Error()) }

func (c *replicated) propose(cmd any) {
	c.r.t.Helper()
	body, err := Encode(cmd)
	must(c.r.t, err)
	stamp := EncodeStamp(Stamp{Term: c.CurrentTerm(), WallTime: testWall}, body)
	must(c.r.t, c.ApplyLog(raft.Log{Data: body, Extensions: stamp}, 0).Error())
}

// The log is cut behind a snapshot, and then the process is killed: what was
// in memory is lost, what was cut is not.
func TestLogIsNeverCutPastWhatIsFlushed(t *testing.T) {
	r := newRig(t)
	snapshots, err := raft.NewFileSnapshotStore(t.TempDir(), 2, io.Discard)
	must(t, err)
	c := &replicated{r: r, log: raft.NewInmemStore(), snapshots: snapshots}
	c.start()
	c.propose(testBootstrap(100))
	c.propose(&KeyCreate{KeyID: testKey, Org: testOrg, SecretHash: [32]byte{1}, DefaultStore: testStore})
	for i := range 20 {
		c.propose(newSync(Incremental, upsert("n", idOf(i), "1")))
	}
	must(t, c.Snapshot().Error())
	cutAt := r.fsm.Applied()
	if first, err := c.log.FirstIndex(); err != nil || first != 0 && first <= cutAt {
		t.Fatalf("the log begins with %d, %v: the test proves nothing", first, err)
	}
	for i := range 5 {
		c.propose(newSync(Incremental, upsert("n", idOf(i), "2")))
	}
	want := dump(t, r.fsm)
	crashed := r.crash()
	c.stop()

	crashed.expectApplied("after the crash", cutAt)
	list, err := snapshots.List()
	must(t, err)
	_, stream, err := snapshots.Open(list[0].ID)
	must(t, err)
	covered, err := crashed.fsm.Covers(stream)
	must(t, err)
	must(t, stream.Close())
	if !covered {
		t.Error("the state lacks entries that the snapshot holds")
	}
	again := &replicated{r: crashed, log: c.log, snapshots: snapshots}
	again.start()
	if diff := cmp.Diff(want, dump(t, crashed.fsm)); diff != "" {
		t.Error("after the replay: ", diff)
	}
	again.stop()
}

// Flushes run beside Apply, Snapshot, Restore and Close.
func TestFlushIsConcurrent(t *testing.T) {
	r := newRig(t)
	r.setUp(1000)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := r.fsm.Flush(); err != nil {
				done <- err
				return
			}
		}
	}()
	var stream []byte
	for i := range 40 {
		r.mustApply(newSync(Incremental, upsert("n", idOf(i), "1")))
		switch i {
		case 10:
			stream = r.snapshot()
		case 20:
			must(t, r.restore(bytes.Clone(stream)))
			r.next += 100
		}
	}
	close(stop)
	must(t, <-done)
	want := r.fsm.Applied()
	must(t, r.fsm.Flush())
	r.crash().expectApplied("at the end", want)
}
