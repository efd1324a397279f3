package fsm

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

func (r *rig) expectApplied(when string, want uint64) {
	r.t.Helper()
	if got := r.fsm.Applied(); got != want {
		r.t.Errorf("%s: applied %d, want %d", when, got, want)
	}
}

func TestFlushOutlivesACrash(t *testing.T) {
	r := newCrashingRig(t)
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
	r.fsm.current.unflushed.Store(maxUnflushedBytes - size - 1)
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
	if n := r.fsm.current.unflushed.Load(); n != 0 {
		t.Errorf("%d bytes are unflushed after a snapshot", n)
	}
}

// replicated is a state machine under a real raft, whose log outlives it.
type replicated struct {
	*raft.Raft
	r   *rig
	log *raft.InmemStore
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
		must(c.r.t, raft.BootstrapCluster(conf, c.log, c.log, c.r.fsm.Snapshots(), transport, first))
	}
	var err error
	c.Raft, err = raft.NewRaft(conf, c.r.fsm, c.log, c.log, c.r.fsm.Snapshots(), transport)
	must(c.r.t, err)
	for !<-c.LeaderCh() {
	}
	must(c.r.t, c.Barrier(0).Error())
}

func (c *replicated) stop() { must(c.r.t, c.Shutdown().Error()) }

func (c *replicated) propose(cmd Command) {
	c.r.t.Helper()
	body, err := Encode(cmd)
	must(c.r.t, err)
	stamp := EncodeStamp(Stamp{Term: c.CurrentTerm(), WallTime: testWall}, body)
	must(c.r.t, c.ApplyLog(raft.Log{Data: body, Extensions: stamp}, 0).Error())
}

// The log is cut behind a snapshot, and then the process is killed: what was
// in memory is lost, what was cut is not.
func TestLogIsNeverCutPastWhatIsFlushed(t *testing.T) {
	r := newCrashingRig(t)
	c := &replicated{r: r, log: raft.NewInmemStore()}
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
	list, err := crashed.fsm.Snapshots().List()
	must(t, err)
	_, stream, err := crashed.fsm.Snapshots().Open(list[0].ID)
	must(t, err)
	covered, err := crashed.fsm.Covers(stream)
	must(t, err)
	must(t, stream.Close())
	if !covered {
		t.Error("the state lacks entries that the snapshot holds")
	}
	again := &replicated{r: crashed, log: c.log}
	again.start()
	if diff := cmp.Diff(want, dump(t, crashed.fsm)); diff != "" {
		t.Error("after the replay: ", diff)
	}
	again.stop()
}

// A flush takes so long to begin that a restore has put another database in the
// place of the one that it is going to flush.
func TestFlushOfAReplacedDatabase(t *testing.T) {
	r := newCrashingRig(t)
	r.setUp(10)
	stream := r.snapshot()
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	r.fsm.flushing.Lock()
	late := make(chan error, 1)
	go func() { late <- r.fsm.Flush() }()
	for held := false; !held; runtime.Gosched() {
		r.fsm.mu.Lock()
		held = r.fsm.current.refs == 2
		r.fsm.mu.Unlock()
	}
	must(t, r.restore(stream))
	r.mustApply(newSync(Incremental, upsert("n", "a", "2")))
	r.fsm.flushing.Unlock()
	must(t, <-late)
	must(t, r.fsm.Flush())
	r.crash().expectApplied("flushed", 16)
}

// Flushes run beside Apply, Snapshot, Restore and Close.
func TestFlushIsConcurrent(t *testing.T) {
	r := newCrashingRig(t)
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
