package audit

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"pipesync/fsm"
	"pipesync/storage"
)

// member is one node's state machine with its auditor.
type member struct {
	*Auditor
	t    *testing.T
	name string
	sm   *fsm.FSM
	file string
}

func newMember(t *testing.T, name string) *member {
	t.Helper()
	m := &member{t: t, name: name}
	sm, err := fsm.Open(fsm.Options{
		Dir: t.TempDir(), CacheBytes: 1 << 20, Fatal: func(err error) { panic(err) },
		Marked:   func(marked fsm.Marked) { m.Marked(marked) },
		Restored: func() { m.Restored() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sm.Close() })
	m.sm, m.file = sm, filepath.Join(t.TempDir(), "scrubs.json")
	m.restart()
	return m
}

// restart forgets whatever isn't in the state or in the file.
func (m *member) restart() { m.Auditor = New(m.sm, m.file, slog.New(slog.DiscardHandler)) }

// group is a cluster without a network: what is committed is applied by all.
type group struct {
	t       *testing.T
	members []*member
	index   uint64
}

func newGroup(t *testing.T, size int) *group {
	t.Helper()
	g := &group{t: t}
	for i := range size {
		g.members = append(g.members, newMember(t, fmt.Sprint("n", i+1)))
	}
	g.commit(&fsm.Bootstrap{ClusterID: "c", Epoch: storage.Epoch{1}, Settings: storage.Settings{
		Limits: storage.Limits{RequestsPerWindow: 1000}, WindowMillis: 1000, HistorySyncsMax: 100,
	}})
	g.commit(&fsm.KeyCreate{KeyID: "key", Org: "org", DefaultStore: "vs"})
	return g
}

func (g *group) log(cmd fsm.Command) *raft.Log {
	g.t.Helper()
	body, err := fsm.Encode(cmd)
	if err != nil {
		g.t.Fatal(err)
	}
	return &raft.Log{Index: g.index, Term: 1, Data: body, Extensions: fsm.EncodeStamp(fsm.Stamp{Term: 1, ClusterTime: int64(g.index)}, body)}
}

// commit applies cmd at all members, of those that are wrong something else.
func (g *group) commit(cmd fsm.Command, wrong ...*member) {
	g.t.Helper()
	g.index++
	for _, m := range g.members {
		l := g.log(cmd)
		for _, w := range wrong {
			if m == w {
				l = g.log(newSync(m.name))
			}
		}
		if _, ok := m.sm.Apply(l).([]byte); !ok {
			g.t.Fatalf("%s didn't apply %T", m.name, cmd)
		}
	}
}

func newSync(id string) *fsm.Sync {
	return &fsm.Sync{SyncID: "s", Org: "org", KeyID: "key", Store: "vs", Mode: fsm.Incremental,
		Operations: []fsm.Operation{{Action: fsm.Upsert, Namespace: "n", ID: id, Data: []byte("{}")}}}
}

// mark commits a mark as leader would propose it.
func (g *group) mark(leader *member) {
	g.t.Helper()
	mark := &fsm.Mark{}
	if marks := leader.marks(); len(marks) > 0 {
		mark.Previous = marks[len(marks)-1]
	}
	g.commit(mark)
}

// compare has every member compare, as far as it hears those that are up.
func (g *group) compare(down ...*member) {
	voters, reports := map[string]bool{}, map[string][]byte{}
	for _, m := range g.members {
		voters[m.name] = true
		reports[m.name] = m.Report()
	}
	for _, m := range down {
		delete(reports, m.name)
	}
	for _, m := range g.members {
		m.Compare(m.name, voters, reports)
	}
}

func (g *group) expect(when string, verdicts ...Verdict) {
	g.t.Helper()
	for i, m := range g.members {
		if m.chains.own.verdict != verdicts[i] {
			g.t.Errorf("%s: %s is %+v, want %s", when, m.name, m.chains.own, verdicts[i])
		}
		if alarm := m.Alarm(); (alarm != nil) != bad(verdicts[i]) {
			g.t.Errorf("%s: alarm of %s: %v", when, m.name, alarm)
		}
		for j, other := range g.members {
			if m.Diverged(other.name) != (verdicts[j] == Diverged) {
				g.t.Errorf("%s: %s says of %s: %v", when, m.name, other.name, m.Diverged(other.name))
			}
		}
	}
}

func TestAFollowerDiverges(t *testing.T) {
	g := newGroup(t, 3)
	right, wrong := g.members[0], g.members[2]
	if err := wrong.Refusal(); err == nil || wrong.Alarm() != nil {
		t.Errorf("before any comparison: %v, %v", err, wrong.Alarm())
	}
	g.compare()
	g.expect("no mark", Unknown, Unknown, Unknown)
	if err := wrong.Refusal(); err != nil {
		t.Error(err)
	}
	g.mark(right)
	g.compare()
	g.expect("equal", Agrees, Agrees, Agrees)
	g.commit(newSync("a"), wrong)
	g.mark(right)
	g.compare()
	g.expect("one differs", Agrees, Agrees, Diverged)
	err := wrong.Refusal()
	if err == nil || !strings.Contains(err.Error(), "reseed it") {
		t.Errorf("refusal: %v", err)
	}
	if n, ok := err.(interface{ NotApplied() bool }); !ok || !n.NotApplied() {
		t.Errorf("a refusal that doesn't say that nothing was applied: %v", err)
	}
	g.compare(g.members[1])
	g.expect("with one fewer", Agrees, Agrees, Diverged)
	g.mark(right)

	// The state of another, by a snapshot, is the cure.
	wrong.install(right)
	g.compare()
	g.expect("restored", Agrees, Agrees, Agrees)
}

// The one that proposes marks is itself wrong: the others notice at once, and are
// cleared by one another.
func TestALeaderDiverges(t *testing.T) {
	g := newGroup(t, 3)
	wrong := g.members[0]
	g.commit(newSync("a"), wrong)
	g.mark(wrong)
	g.commit(newSync("b"))
	for _, m := range g.members {
		if m.Alarm() != nil {
			t.Errorf("%s: nothing has been compared, and yet: %v", m.name, m.Alarm())
		}
	}
	g.mark(wrong)
	for _, m := range g.members[1:] {
		if m.chains.own.verdict != Disputed || m.Alarm() == nil {
			t.Errorf("%s doesn't doubt itself: %+v", m.name, m.chains.own)
		}
	}
	g.compare()
	g.expect("compared", Diverged, Agrees, Agrees)
}

// What is known of the time before a doubt doesn't end it.
func TestADoubtStays(t *testing.T) {
	g := newGroup(t, 3)
	leader, doubtful, other := g.members[0], g.members[1], g.members[2]
	g.mark(leader)
	early := other.Report()
	g.commit(newSync("a"), doubtful)
	g.mark(leader)
	g.mark(leader)
	doubtful.Compare(doubtful.name, map[string]bool{leader.name: true, doubtful.name: true, other.name: true}, map[string][]byte{other.name: early})
	if doubtful.chains.own.verdict != Disputed {
		t.Errorf("cleared by an old mark: %+v", doubtful.chains.own)
	}
	g.compare()
	g.expect("compared", Agrees, Diverged, Agrees)
}

func TestTwoThatDiffer(t *testing.T) {
	g := newGroup(t, 2)
	g.commit(newSync("a"), g.members[1])
	g.mark(g.members[0])
	g.compare()
	g.expect("nobody knows", Disputed, Disputed)
	if err := g.members[0].Alarm(); !strings.Contains(err.Error(), "none of them has a majority") {
		t.Error(err)
	}
	g.compare(g.members[1])
	g.expect("alone", Disputed, Disputed)
}

// Reports of others are read as what they are: from another machine.
func TestReportsAreNotTrusted(t *testing.T) {
	long := `{"marks":[` + strings.Repeat(`{"index":1,"chain":"1"},`, storage.MarksMax) + `{"index":2,"chain":"1"}]}`
	scrubs := `{"scrubs":[{"index":1},{"index":2},{"index":3}]}`
	for _, text := range []string{``, `[]`, `{"marks":7}`, `{"marks":[{"index":-1}]}`, long, scrubs} {
		if got := readReport([]byte(text)); got.Marks != nil || got.Scrubs != nil {
			t.Errorf("%s: %v", text, got)
		}
	}
	got := readReport([]byte(`{"marks":[{"index":4611686018427387904,"chain":"ff"}],"of a later version":1}`)).marks()
	if len(got) != 1 || got[0] != (noted{1 << 62, "ff"}) {
		t.Errorf("got %v", got)
	}
}

// install gives m the state of another, by a snapshot.
func (m *member) install(other *member) {
	m.t.Helper()
	create := func(store raft.SnapshotStore) raft.SnapshotSink {
		index, term := other.sm.Position()
		return must(store.Create(raft.SnapshotVersionMax, index, term, raft.Configuration{}, 0, nil))(m.t)
	}
	open := func(store raft.SnapshotStore, id string) io.ReadCloser {
		_, stream, err := store.Open(id)
		return must(stream, err)(m.t)
	}
	snapshot, sent := must(other.sm.Snapshot())(m.t), create(other.sm.Snapshots())
	check(m.t, snapshot.Persist(sent))
	snapshot.Release()
	stream, received := open(other.sm.Snapshots(), sent.ID()), create(m.sm.Snapshots())
	must(io.Copy(received, stream))(m.t)
	check(m.t, stream.Close())
	check(m.t, received.Close())
	check(m.t, m.sm.Restore(open(m.sm.Snapshots(), received.ID())))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
