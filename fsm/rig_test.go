package fsm

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"pipesync/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testTerm  = 3
	second    = int64(1_000_000_000)
	testWall  = 1_700_000_000 * second
	testOrg   = "org_a"
	testKey   = "key_a"
	testStore = "vs_a"
	windowLen = 60_000 // milliseconds

	retentionSeconds = 16
	// idempotencySeconds and testKeysMax are small enough for both to be met.
	idempotencySeconds = 30
	testKeysMax        = 3
	// historySeconds and testHistoryMax are too, with the window of the model: some
	// keys outlive the history of their syncs.
	historySeconds = 40
	testHistoryMax = 5
)

// testStoreMade is the index of the entry that makes the test's store: the second.
const testStoreMade = 12

// testBounds are small enough for a few records to be over them.
var testBounds = Bounds{FlipRows: 4, ReconcileRows: 2, StaleChanges: defaultBounds.StaleChanges, SupersededBytes: defaultBounds.SupersededBytes}

// fatalCall is what the rig's Fatal panics with.
type fatalCall struct{ err error }

// rig drives one state machine as raft would.
type rig struct {
	t    testing.TB
	dir  string
	fsm  *FSM
	next uint64 // index of the next entry
	now  int64  // cluster time of the next stamp
	wall int64
	opts func(*Options)
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigIn(t, t.TempDir())
}

func newRigIn(t testing.TB, dir string) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir, next: 10, wall: testWall}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	r.t.Helper()
	o := Options{Dir: r.dir, CacheBytes: 8 << 20, Fatal: func(err error) { panic(fatalCall{err}) }}
	if r.opts != nil {
		r.opts(&o)
	}
	f, err := Open(o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.fsm = f
}

func (r *rig) close() {
	r.t.Helper()
	if err := r.fsm.Close(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) reopen() {
	r.t.Helper()
	r.close()
	r.open()
}

// entry makes the next log entry of cmd.
func (r *rig) entry(cmd Command) *raft.Log {
	r.t.Helper()
	body, err := Encode(cmd)
	if err != nil {
		r.t.Fatal(err)
	}
	stamp := Stamp{Term: testTerm, ClusterTime: r.now, WallTime: r.wall}
	l := &raft.Log{Index: r.next, Term: testTerm, Data: body, Extensions: EncodeStamp(stamp, body)}
	r.next += 2 // indexes have gaps: raft keeps some entries to itself
	return l
}

func (r *rig) applyLog(l *raft.Log) *Result {
	r.t.Helper()
	return decodeResponse(r.t, r.fsm.Apply(l))
}

func decodeResponse(t testing.TB, response any) *Result {
	t.Helper()
	reply, ok := response.([]byte)
	if !ok {
		t.Fatalf("response %T %v", response, response)
	}
	result, err := DecodeResult(reply)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (r *rig) apply(cmd Command) *Result {
	r.t.Helper()
	return r.applyLog(r.entry(cmd))
}

func (r *rig) mustApply(cmd Command) *Result {
	r.t.Helper()
	result := r.apply(cmd)
	if result.Outcome != OK {
		r.t.Fatalf("%T: outcome %d", cmd, result.Outcome)
	}
	return result
}

func testBootstrap(limit uint32) *Bootstrap {
	return &Bootstrap{
		RequestID: RequestID{1},
		ClusterID: "cluster-1",
		Epoch:     storage.Epoch{9, 8, 7},
		Settings: storage.Settings{Limits: storage.Limits{RequestsPerWindow: limit}, WindowMillis: windowLen, AdminTokenHash: [32]byte{5}, TombstoneRetentionSeconds: retentionSeconds,
			IdempotencyRetentionSeconds: idempotencySeconds, IdempotencyKeysMax: testKeysMax,
			HistoryRetentionSeconds: historySeconds, HistorySyncsMax: testHistoryMax},
	}
}

// setUp bootstraps and makes one organization with a key and a store.
func (r *rig) setUp(limit uint32) {
	r.t.Helper()
	r.mustApply(testBootstrap(limit))
	r.mustApply(&KeyCreate{KeyID: testKey, Org: testOrg, Name: "loader", SecretHash: [32]byte{1}, DefaultStore: testStore})
}

func (r *rig) view() *View {
	r.t.Helper()
	v, err := r.fsm.View()
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func newSync(mode Mode, ops ...Operation) *Sync {
	return &Sync{
		SyncID: "sync_1", Org: testOrg, KeyID: testKey, Store: testStore,
		Mode: mode, Operations: ops,
	}
}

// at gives s a timestamp of its own, in seconds after testWall.
func (s *Sync) at(seconds int64) *Sync {
	s.Timestamp, s.HasTimestamp = testWall+seconds*second, true
	return s
}

// rejecting makes stale operations reject s.
func (s *Sync) rejecting() *Sync {
	s.OnStale = RejectStale
	return s
}

// guarded lets s remove at most so many thousandths of a percent.
func (s *Sync) guarded(limit uint32) *Sync {
	s.MaxDelete, s.HasMaxDelete = limit, true
	return s
}

// checkpointed gives s a checkpoint.
func (s *Sync) checkpointed(pipeline, state string) *Sync {
	s.Checkpoint = &Checkpoint{pipeline, []byte(state)}
	return s
}

// omitting leaves out the contents of those operations that are chosen.
func (s *Sync) omitting(choose func(*Operation) bool) *Sync {
	for i := range s.Operations {
		if op := &s.Operations[i]; choose(op) {
			s.omit(op)
		}
	}
	return s
}

// keyed gives s an idempotency key, as the accepting node does.
func (s *Sync) keyed(key string) *Sync {
	s.SetIdempotencyKey("sync", key)
	return s
}

// proposed gives s the request id that a node would mint.
func (s *Sync) proposed(n int) *Sync {
	s.RequestID = RequestID{0xee, byte(n >> 8), byte(n)}
	return s
}

// again is s as another node would propose it when it is sent a second time.
func (s *Sync) again(syncID string) *Sync {
	c := *s
	c.SyncID, c.RequestID = syncID, RequestID{}
	return &c
}

func upsert(ns, id, data string) Operation {
	return Operation{Action: Upsert, Namespace: ns, ID: id, Data: []byte(data), Hash: testHash(data)}
}

func remove(ns, id string) Operation { return Operation{Action: Delete, Namespace: ns, ID: id} }

func testHash(data string) (h storage.Hash) {
	sum := sha256.Sum256([]byte(data))
	copy(h[:], sum[:])
	return h
}

// sinkFor is raft's call for a snapshot that ends with entry index.
func (r *rig) sinkFor(index uint64) raft.SnapshotSink {
	r.t.Helper()
	servers := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "127.0.0.1:1"}}}
	sink, err := r.fsm.Snapshots().Create(1, index, testTerm, servers, 1, nil)
	must(r.t, err)
	return sink
}

// persist takes a snapshot, and returns its id.
func (r *rig) persist() string {
	r.t.Helper()
	s, err := r.fsm.Snapshot()
	must(r.t, err)
	defer s.Release()
	sink := r.sinkFor(r.fsm.Applied())
	must(r.t, s.Persist(sink))
	must(r.t, sink.Close())
	return sink.ID()
}

// streamOf reads a snapshot as raft does to send it.
func (r *rig) streamOf(id string) []byte {
	r.t.Helper()
	meta, stream, err := r.fsm.Snapshots().Open(id)
	must(r.t, err)
	b, err := io.ReadAll(stream)
	must(r.t, err)
	must(r.t, stream.Close())
	if meta.ID != id || meta.Size != int64(len(b)) {
		r.t.Fatalf("snapshot %s of %d bytes is told to be %s of %d", id, len(b), meta.ID, meta.Size)
	}
	return b
}

func (r *rig) snapshot() []byte {
	r.t.Helper()
	return r.streamOf(r.persist())
}

// install receives a snapshot as raft does, and returns its id.
func (r *rig) install(stream io.Reader, index uint64) (string, error) {
	r.t.Helper()
	sink := r.sinkFor(index)
	if _, err := io.Copy(sink, stream); err != nil {
		return "", errors.Join(err, sink.Cancel())
	}
	return sink.ID(), sink.Close()
}

// restoreFrom restores a snapshot as raft does, which wraps the stream.
func (r *rig) restoreFrom(id string) error {
	r.t.Helper()
	_, stream, err := r.fsm.Snapshots().Open(id)
	must(r.t, err)
	return r.fsm.Restore(wrapped{stream})
}

type wrapped struct{ io.ReadCloser }

func (w wrapped) WrappedReadCloser() io.ReadCloser { return w.ReadCloser }

// restore installs and restores a snapshot.
func (r *rig) restore(stream []byte) error {
	r.t.Helper()
	index := r.fsm.Applied()
	if h, err := readSnapshotHeader(bufio.NewReader(bytes.NewReader(stream))); err == nil {
		index = h.AppliedIndex
	}
	id, err := r.install(bytes.NewReader(stream), index)
	if err != nil {
		return err
	}
	return r.restoreFrom(id)
}

func readPage(v *View, org, store, ns string, gen storage.Generation, after string, limit int) ([]Record, error) {
	var page []Record
	for r, err := range v.Records(org, store, ns, gen, after) {
		if err != nil {
			return nil, err
		}
		page = append(page, r)
		if len(page) == limit {
			break
		}
	}
	return page, nil
}

// readAll returns all records of a namespace, by pages.
func readAll(t testing.TB, v *View, ns string) []Record {
	t.Helper()
	var all []Record
	after := ""
	for {
		page, err := readPage(v, testOrg, testStore, ns, 0, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if len(page) < 7 {
			return all
		}
		after = page[len(page)-1].ID
	}
}

func idOf(i int) string { return fmt.Sprintf("id-%06d", i) }
