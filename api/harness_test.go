package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"pipesync/cluster"
	"pipesync/fsm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testOrg   = "org_acme"
	testStore = "vs_main"
	// testKeysMax is less than the rate limit of 5.
	testKeysMax = 4
	testAdmin   = "the-node's-own-token"
	// testClusterAdmin is the token whose hash is in the replicated settings.
	testClusterAdmin = "the-cluster's-token"
)

// log is a replicated log of one member: what is proposed is applied at once by
// the real state machine, at a time that the test sets.
type testLog struct {
	mu          sync.Mutex
	sm          *fsm.FSM
	index       uint64
	clusterTime int64
	wallTime    int64
}

func (l *testLog) apply(body []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index++
	stamp := fsm.Stamp{Term: 1, ClusterTime: l.clusterTime, WallTime: l.wallTime}
	switch reply := l.sm.Apply(&raft.Log{
		Index: l.index, Term: 1, Type: raft.LogCommand, Data: body, Extensions: fsm.EncodeStamp(stamp, body),
	}).(type) {
	case []byte:
		return reply, nil
	case error:
		return nil, reply
	default:
		return nil, errors.New("foreign response")
	}
}

// now is the wall clock of the node under test.
func (l *testLog) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Unix(0, l.wallTime)
}

func (l *testLog) advance(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clusterTime += int64(d)
	l.wallTime += int64(d)
}

// fakeCluster is a node of a cluster; a nil field does what a healthy leader
// does.
type fakeCluster struct {
	log       *testLog
	propose   func(ctx context.Context, body []byte) ([]byte, error)
	readIndex func(ctx context.Context) (uint64, error)
	status    func() cluster.Status
	members   func() ([]cluster.Member, error)
	join      func(ctx context.Context, peer, token string, nonvoter bool) error
	remove    func(ctx context.Context, node string, force bool) error
	transfer  func(ctx context.Context, node string) error
	rotateCA  func(ctx context.Context) (string, error)
	rotation  *cluster.RotationStatus
	joinCAs   []string
}

func (f *fakeCluster) CARotation() *cluster.RotationStatus { return f.rotation }

func (f *fakeCluster) JoinCAs() []string { return f.joinCAs }

func (f *fakeCluster) RotateCA(ctx context.Context) (string, error) { return f.rotateCA(ctx) }

func (f *fakeCluster) Propose(ctx context.Context, body []byte) ([]byte, error) {
	if f.propose != nil {
		return f.propose(ctx, body)
	}
	return f.log.apply(body)
}

func (f *fakeCluster) ReadIndex(ctx context.Context) (uint64, error) {
	if f.readIndex != nil {
		return f.readIndex(ctx)
	}
	return f.log.sm.Applied(), nil
}

func (f *fakeCluster) LeaderID() string { return f.Status().LeaderID }

func (f *fakeCluster) Status() cluster.Status {
	if f.status != nil {
		return f.status()
	}
	return cluster.Status{
		NodeID: "node_1", ClusterID: "cluster_1", Version: "test", Role: cluster.RoleLeader, Term: 1,
		LeaderID: "node_1", LeaderPeer: "127.0.0.1:8801", AppliedIndex: f.log.sm.Applied(),
		Voters: 3, FailuresTolerated: 1, CaughtUp: true, Ready: true,
	}
}

func (f *fakeCluster) Members() ([]cluster.Member, error) {
	if f.members != nil {
		return f.members()
	}
	return []cluster.Member{{
		ID: "node_1", PeerAddr: "127.0.0.1:8801", HTTPAddr: "http://127.0.0.1:8800",
		Voter: true, Leader: true, Alive: true, Version: "test",
	}}, nil
}

func (f *fakeCluster) Sizes() cluster.Sizes {
	return cluster.Sizes{LogFile: 100, LogSinceSnapshot: 30, Snapshot: 40, SnapshotIndex: 1}
}

func (f *fakeCluster) Join(ctx context.Context, peer, token string, nonvoter bool) error {
	return f.join(ctx, peer, token, nonvoter)
}

func (f *fakeCluster) Remove(ctx context.Context, node string, force bool) error {
	return f.remove(ctx, node, force)
}

func (f *fakeCluster) TransferLeadership(ctx context.Context, node string) error {
	return f.transfer(ctx, node)
}

// edge is the handler under test on a bootstrapped cluster with one
// organization, one store and one key that has that store as its default.
type edge struct {
	t       testing.TB
	log     *testLog
	cluster *fakeCluster
	handler http.Handler
	key     string
	lines   *bytes.Buffer // of the access log
}

// shortSyncs lets a sync whose outcome stays unknown give up soon.
func shortSyncs(d *Deps) { d.Limits.SyncTimeout = 50 * time.Millisecond }

func newEdge(t testing.TB, change ...func(*Deps)) *edge {
	t.Helper()
	sm := emptyState(t)
	log := &testLog{sm: sm, clusterTime: int64(time.Hour), wallTime: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()}
	bootstrap := &fsm.Bootstrap{RequestID: mintRequestID(), ClusterID: "cluster_1", Epoch: [16]byte{1}}
	bootstrap.Settings.RequestsPerWindow = 5
	bootstrap.Settings.WindowMillis = 60_060
	bootstrap.Settings.TombstoneRetentionSeconds = 60
	bootstrap.Settings.IdempotencyRetentionSeconds = 3600
	bootstrap.Settings.IdempotencyKeysMax = testKeysMax
	bootstrap.Settings.HistorySyncsMax = 1000
	bootstrap.Settings.AdminTokenHash = sha256.Sum256([]byte(testClusterAdmin))
	e := &edge{t: t, log: log, cluster: &fakeCluster{log: log}, lines: new(bytes.Buffer)}
	e.mustApply(bootstrap)
	e.key = e.makeKey(testOrg, testStore)
	d := Deps{
		Cluster: e.cluster, State: sm, NodeID: "node_1", Version: "test", AdminToken: testAdmin,
		Logger: slog.New(slog.NewJSONHandler(e.lines, nil)), Registry: prometheus.NewRegistry(), Now: log.now,
	}
	for _, f := range change {
		f(&d)
	}
	var err error
	if e.handler, err = New(d); err != nil {
		t.Fatal(err)
	}
	return e
}

// emptyState has not even the cluster's first command applied.
func emptyState(t testing.TB) *fsm.FSM {
	t.Helper()
	sm, err := fsm.Open(fsm.Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), CacheBytes: 1 << 20,
		Fatal: func(err error) { panic(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sm.Close() })
	return sm
}

func (e *edge) mustApply(cmd fsm.Command) *fsm.Result {
	e.t.Helper()
	body, err := fsm.Encode(cmd)
	if err != nil {
		e.t.Fatal(err)
	}
	reply, err := e.log.apply(body)
	if err != nil {
		e.t.Fatal(err)
	}
	result, err := fsm.DecodeResult(reply)
	if err != nil {
		e.t.Fatal(err)
	}
	return result
}

// makeKey makes a key as if through another node.
func (e *edge) makeKey(org, store string) string {
	e.t.Helper()
	text, id, hash := mintKey()
	e.mustApply(&fsm.KeyCreate{RequestID: mintRequestID(), KeyID: id, Org: org, SecretHash: hash, DefaultStore: store})
	return text
}

// reply is what came back of one request.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

type header struct{ name, value string }

// do sends a request with the test's API key unless headers has one, or with
// the admin token on an admin route.
func (e *edge) do(method, target, body string, headers ...header) *reply {
	e.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if strings.HasPrefix(target, "/v1/admin/") {
		r.Header.Set("Authorization", "Bearer "+testAdmin)
	} else {
		r.Header.Set("X-API-Key", e.key)
	}
	for _, h := range headers {
		if h.value == "" {
			r.Header.Del(h.name)
		} else {
			r.Header.Set(h.name, h.value)
		}
	}
	return e.serve(r)
}

func (e *edge) serve(r *http.Request) *reply {
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return &reply{t: e.t, status: w.Code, header: w.Header(), body: string(b)}
}

func (e *edge) sync(body string, headers ...header) *reply {
	e.t.Helper()
	return e.do("POST", "/v1/pipeline/sync", body, headers...)
}

// push lands one incremental sync of upserts and fails the test otherwise. It
// also moves time on, so that it never meets the rate limit.
func (e *edge) push(operations string) {
	e.t.Helper()
	e.sync(`{"organization_id":"org_acme","sync_mode":"incremental","operations":[`+operations+`]}`).want(200, "")
	e.log.advance(time.Minute)
}

func (r *reply) decode(v any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		r.t.Fatalf("decoding %s: %v", r.body, err)
	}
}

func (r *reply) failure() envelopeBody {
	r.t.Helper()
	var e envelope
	r.decode(&e)
	return e.Error
}

// want checks the status, and the code of an error; code "" is no error.
func (r *reply) want(status int, code Code) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if code == "" {
		return r
	}
	got := r.failure()
	if got.Code != code || got.Status != status || got.RequestID != r.header.Get("X-Request-ID") {
		r.t.Fatalf("error %+v, want %s and %d", got, code, status)
	}
	return r
}

func (r *reply) wantHeader(name, value string) *reply {
	r.t.Helper()
	if got := r.header.Get(name); got != value {
		r.t.Errorf("header %s is %q, want %q", name, got, value)
	}
	return r
}
