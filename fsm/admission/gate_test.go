package admission

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"pipesync/fsm"
)

func TestBytesThatAreNoEntryAreTurnedAway(t *testing.T) {
	g := newGroup(t, 1)
	good := syncBody(t, 1)
	bodies := map[string][]byte{
		"empty":        {},
		"cut short":    good[:len(good)-1],
		"one too long": append(append([]byte{}, good...), 0),
		"unknown kind": append([]byte{0xee}, good[1:]...),
	}
	for i := range good {
		flipped := append([]byte{}, good...)
		flipped[i] ^= 0x10
		bodies["flipped at "+string(rune('0'+i%10))+" of "+strings.Repeat("|", i)] = flipped
	}
	for name, body := range bodies {
		reply, release, err := g.nodes[0].gate.Admit(t.Context(), g.term, body)
		if err == nil || reply != nil || release != nil {
			t.Fatalf("%s: admitted or answered", name)
		}
		if transient(err) {
			t.Fatalf("%s: %v looks worth another try", name, err)
		}
	}
	assertIdle(t, g.nodes[0].gate)
}

func TestFlowIsTheOrganizationOfASync(t *testing.T) {
	body := syncBody(t, 1)
	for want, bodies := range map[string][][]byte{
		testOrg: {body, syncBody(t, 2)},
		"":      {nil, body[:20], append([]byte{0xee}, body[1:]...), encode(t, &fsm.Mark{RequestID: fsm.RequestID{1}})},
	} {
		for i, body := range bodies {
			if got := (*Gate)(nil).Flow(body); got != want {
				t.Errorf("body %d: %q, not %q", i, got, want)
			}
		}
	}
}

// transient is what a caller that doesn't import this package can ask of an error.
func transient(err error) bool {
	var e interface{ NotApplied() bool }
	return errors.As(err, &e) && e.NotApplied()
}

// assertIdle fails unless nothing is counted and nobody waits.
func assertIdle(t *testing.T, g *Gate) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current == nil {
		return
	}
	g.current.mu.Lock()
	defer g.current.mu.Unlock()
	for org, l := range g.current.lines {
		t.Errorf("%s is left with %d users, %d in flight, %d waiting", org, l.users, l.inFlight, len(l.waiters))
	}
}

// TestTheGateRefusesInTheWordsOfApply compares every refusal before the log with what
// Apply says to the same bytes in the same state.
func TestTheGateRefusesInTheWordsOfApply(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	for _, command := range []fsm.Command{
		&fsm.KeyCreate{RequestID: fsm.RequestID{3}, KeyID: "key_revoked", Org: testOrg, Name: "r"},
		&fsm.KeyRevoke{RequestID: fsm.RequestID{4}, KeyID: "key_revoked"},
		&fsm.KeyCreate{RequestID: fsm.RequestID{5}, KeyID: "key_b", Org: "org_b", Name: "b", DefaultStore: "vs_b"},
		&fsm.KeyCreate{RequestID: fsm.RequestID{6}, KeyID: "key_reader", Org: testOrg, Scope: fsm.Scope{Actions: fsm.MayRead}},
		&fsm.KeyCreate{RequestID: fsm.RequestID{7}, KeyID: "key_elsewhere", Org: testOrg, Scope: fsm.Scope{Namespaces: []string{"elsewhere*"}}},
		&fsm.KeyCreate{RequestID: fsm.RequestID{8}, KeyID: "key_short", Org: testOrg, LifetimeSeconds: 1},
	} {
		if got := decode(t, g.propose(t, n, encode(t, command))); got.Outcome != fsm.OK {
			t.Fatalf("%T: outcome %d", command, got.Outcome)
		}
	}
	for i := range testLimit {
		if got := decode(t, g.propose(t, n, syncBody(t, i))); got.Outcome != fsm.OK {
			t.Fatalf("sync %d: outcome %d", i, got.Outcome)
		}
	}
	n.clock.advance(time.Second)
	for _, tc := range []struct {
		name   string
		change func(*fsm.Sync)
		want   fsm.Outcome
	}{
		{"expired key", func(s *fsm.Sync) { s.KeyID = "key_short" }, fsm.KeyExpired},
		{"an action that the key hasn't", func(s *fsm.Sync) { s.KeyID, s.Store = "key_reader", "vs_unknown" }, fsm.KeyScopeDenied},
		{"a namespace that the key isn't for", func(s *fsm.Sync) { s.KeyID = "key_elsewhere" }, fsm.KeyScopeDenied},
		{"unknown key", func(s *fsm.Sync) { s.KeyID = "key_unknown" }, fsm.KeyNotFound},
		{"revoked key", func(s *fsm.Sync) { s.KeyID = "key_revoked" }, fsm.KeyRevoked},
		{"another organization's key", func(s *fsm.Sync) { s.KeyID = "key_b" }, fsm.OrgMismatch},
		{"unknown organization", func(s *fsm.Sync) { s.Org = "org_c" }, fsm.OrgMismatch},
		{"unknown store", func(s *fsm.Sync) { s.Store = "vs_unknown" }, fsm.StoreNotFound},
		{"another organization's store", func(s *fsm.Sync) { s.Store = "vs_b" }, fsm.StoreNotFound},
		{"full window", func(*fsm.Sync) {}, fsm.RateLimited},
		{"full window, and the future", func(s *fsm.Sync) { s.Timestamp, s.HasTimestamp = 1<<62, true }, fsm.RateLimited},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := syncBody(t, 1000, tc.change)
			reply, release, err := n.gate.Admit(t.Context(), g.term, body)
			if err != nil || reply == nil || release != nil {
				t.Fatalf("reply %x, err %v", reply, err)
			}
			got, applied := decode(t, reply), decode(t, g.commit(t, n, body))
			if got.Outcome != tc.want || got.Index != 0 {
				t.Errorf("the gate: %+v", got)
			}
			applied.Index = 0
			if string(applied.Encode()) != string(reply) {
				t.Errorf("the gate: %+v %+v\nApply:    %+v %+v", got, got.Sync, applied, applied.Sync)
			}
		})
	}
	assertIdle(t, n.gate)
}

// TestTheGateRefusesWhatComesTooLate is the same for what timestamps decide, as far as
// that takes no rows of records: the rest is for Apply.
func TestTheGateRefusesWhatComesTooLate(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	wall := n.clock.Wall().UnixNano()
	at := func(seconds int64) func(*fsm.Sync) {
		return func(s *fsm.Sync) { s.Timestamp, s.HasTimestamp = wall+seconds*1e9, true }
	}
	refresh := func(s *fsm.Sync) { s.Mode = fsm.FullRefresh }
	reject := func(s *fsm.Sync) { s.OnStale = fsm.RejectStale }
	body := func(changes ...func(*fsm.Sync)) []byte { return syncBody(t, 1, changes...) }
	for _, b := range [][]byte{body(refresh, at(10)), body(at(20))} {
		if got := decode(t, g.propose(t, n, b)); got.Outcome != fsm.OK {
			t.Fatalf("outcome %d", got.Outcome)
		}
	}
	for _, tc := range []struct {
		name  string
		body  []byte
		want  fsm.Outcome
		early bool // the gate can decide
	}{
		{"the future", body(at(301)), fsm.TimestampInFuture, true},
		{"an old refresh", body(refresh, at(19)), fsm.StaleRefresh, true},
		{"below the floor, rejecting", body(reject, at(9)), fsm.StaleSync, true},
		{"below the floor", body(at(9)), fsm.OK, false},
		{"older than a record, rejecting", body(reject, at(19)), fsm.StaleSync, false},
		{"neither", body(reject, at(20)), fsm.OK, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reply, release, err := n.gate.Admit(t.Context(), g.term, tc.body)
			if err != nil || (reply != nil) != tc.early {
				t.Fatalf("reply %x, err %v", reply, err)
			}
			applied := decode(t, g.commit(t, n, tc.body))
			if applied.Outcome != tc.want {
				t.Errorf("Apply: outcome %d, want %d", applied.Outcome, tc.want)
			}
			if release != nil {
				release(nil)
				return
			}
			applied.Index = 0
			if string(applied.Encode()) != string(reply) {
				t.Errorf("the gate: %+v\nApply:    %+v", decode(t, reply), applied)
			}
		})
	}
	assertIdle(t, n.gate)
}

func TestBeforeTheFirstEntry(t *testing.T) {
	n := &node{dir: t.TempDir(), clock: newClock(0)}
	n.start(t)
	t.Cleanup(func() { n.stop(t) })
	n.gate.LeaderReady(1)
	reply, _, err := n.gate.Admit(t.Context(), 1, syncBody(t, 1))
	if err != nil || decode(t, reply).Outcome != fsm.NotBootstrapped {
		t.Errorf("a sync: %x, %v", reply, err)
	}
	reply, release, err := n.gate.Admit(t.Context(), 1, encode(t, &fsm.StoreCreate{
		RequestID: fsm.RequestID{1}, Org: testOrg, Store: testStore,
	}))
	if err != nil || reply != nil {
		t.Fatalf("another command: %x, %v", reply, err)
	}
	release(nil)
	if err := joinAs(n.gate, ""); !errors.Is(err, ErrState) || !transient(err) {
		t.Errorf("joining a cluster that has no token yet: %v", err)
	}
}

func TestAFullWindowHoldsUpOnlySyncs(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	for i := range testLimit {
		g.propose(t, n, syncBody(t, i))
	}
	for _, command := range []fsm.Command{
		&fsm.StoreCreate{RequestID: fsm.RequestID{1}, Org: testOrg, Store: "vs_more"},
		&fsm.KeyRevoke{RequestID: fsm.RequestID{2}, KeyID: testKey(0)},
	} {
		if got := decode(t, g.propose(t, n, encode(t, command))); got.Outcome != fsm.OK {
			t.Errorf("%T: outcome %d", command, got.Outcome)
		}
	}
}

func joinAs(gate *Gate, token string) error {
	_, err := gate.AuthorizeJoin(token, "n9", [32]byte{1})
	return err
}

func TestAuthorizeJoin(t *testing.T) {
	gate := newGroup(t, 1).nodes[0].gate
	if err := joinAs(gate, adminToken); err != nil {
		t.Errorf("the right token: %v", err)
	}
	for _, token := range []string{"", adminToken + " ", strings.ToUpper(adminToken)} {
		err := joinAs(gate, token)
		if err == nil || transient(err) || (token != "" && strings.Contains(err.Error(), token)) {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

// A join token lets in one node, which may ask again.
func TestAJoinTokenIsUsedOnce(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	create := &fsm.TokenCreate{TokenID: "jt_1", SecretHash: sha256.Sum256([]byte("secret")), LifetimeSeconds: 60}
	g.propose(t, n, encode(t, create))
	for _, wrong := range []string{"jt_1", "jt_1.", "jt_1.wrong", "jt_2.secret", ".secret"} {
		if err := joinAs(n.gate, wrong); err == nil || transient(err) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	join := func(node string, with byte) error {
		t.Helper()
		entry, err := n.gate.AuthorizeJoin("jt_1.secret", node, [32]byte{with})
		if err != nil {
			t.Fatal(err)
		}
		return n.gate.JoinAuthorized(g.propose(t, n, entry))
	}
	if err := errors.Join(join("n2", 1), join("n2", 1)); err != nil {
		t.Errorf("one node: %v", err)
	}
	for _, err := range []error{join("n3", 1), join("n2", 2)} {
		if err == nil || transient(err) || !strings.Contains(err.Error(), "has been used") {
			t.Errorf("another: %v", err)
		}
	}
	g.propose(t, n, encode(t, &fsm.TokenRevoke{RequestID: fsm.RequestID{9}, TokenID: "jt_1"}))
	if err := joinAs(n.gate, "jt_1.secret"); err == nil || transient(err) {
		t.Errorf("revoked: %v", err)
	}
}

func TestOnlyTheReadyTermIsServed(t *testing.T) {
	g := newGroup(t, 1)
	gate := g.nodes[0].gate
	for _, term := range []uint64{0, g.term - 1, g.term + 1} {
		_, _, err := gate.Admit(t.Context(), term, syncBody(t, 1))
		if !errors.Is(err, ErrTerm) || !transient(err) {
			t.Errorf("term %d: %v", term, err)
		}
	}
}

// unreadable is a state that can't be read until it is repaired.
type unreadable struct{ State }

func (unreadable) View() (*fsm.View, error) { return nil, fsm.ErrNotReady }

func TestATermBeginsWhenTheStateCanBeRead(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	n.gate.state = unreadable{}
	g.lead(0)
	_, _, err := n.gate.Admit(t.Context(), g.term, syncBody(t, 1))
	if !errors.Is(err, ErrState) || !errors.Is(err, fsm.ErrNotReady) || !transient(err) {
		t.Errorf("while the state can't be read: %v", err)
	}
	n.gate.state = n.fsm
	if got := decode(t, g.propose(t, n, syncBody(t, 1))); got.Outcome != fsm.OK {
		t.Errorf("afterwards: %+v", got)
	}
	n.gate.state = unreadable{}
	if _, _, err := n.gate.Admit(t.Context(), g.term, syncBody(t, 2)); !errors.Is(err, ErrState) {
		t.Errorf("in the midst of a term: %v", err)
	}
	if err := joinAs(n.gate, adminToken); !errors.Is(err, ErrState) || !errors.Is(err, fsm.ErrNotReady) {
		t.Errorf("a join: %v", err)
	}
	assertIdle(t, n.gate)
}

// TestTheFence stamps an entry in one term and has it appended in the next.
func TestTheFence(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	body := syncBody(t, 1)
	_, release, err := n.gate.Admit(t.Context(), g.term, body)
	if err != nil {
		t.Fatal(err)
	}
	stamp := n.gate.Stamp(g.term, body)
	g.lead(0)
	before := n.system(t)
	response, ok := g.apply(n, body, stamp).(error)
	if !ok || !transient(response) {
		t.Errorf("the response is %v", response)
	}
	if after := n.system(t); after.ClusterTime != before.ClusterTime {
		t.Errorf("cluster time went from %d to %d", before.ClusterTime, after.ClusterTime)
	}
	release(nil) // of the earlier term: nothing of this one may change
	assertIdle(t, n.gate)
	if got := decode(t, g.propose(t, n, body)); got.Outcome != fsm.OK || got.Sync.Window.Remaining != testLimit-1 {
		t.Errorf("sent again: %+v", got)
	}
}

// A node that doesn't lead tells cluster time from what it has applied, and never
// more than the leader's.
func TestEstimate(t *testing.T) {
	g := newGroup(t, 2)
	leader, follower := g.nodes[0], g.nodes[1]
	for _, n := range g.nodes {
		n.clock.advance(time.Second)
	}
	g.propose(t, leader, syncBody(t, 1))
	applied := follower.gate.Estimate()
	if applied != leader.gate.ClusterTime(g.term) {
		t.Errorf("%d when the entry is applied, the leader's is %d", applied, leader.gate.ClusterTime(g.term))
	}
	for _, n := range g.nodes {
		n.clock.advance(time.Minute)
	}
	if got := follower.gate.Estimate(); got != applied+int64(time.Minute) || got > leader.gate.ClusterTime(g.term) {
		t.Errorf("%d a minute later, was %d", got, applied)
	}
	if got := New(follower.fsm, follower.clock).Estimate(); got != 0 {
		t.Errorf("%d in a process that has applied nothing", got)
	}
}

// An entry that would stop even the leader's own program never gets to the log.
func TestAVersionThatTheLeaderDoesntKnowIsTurnedAway(t *testing.T) {
	g := newGroup(t, 1)
	admit := func(version uint32) error {
		body, err := fsm.Encode(&fsm.VersionRaise{Version: version})
		if err != nil {
			t.Fatal(err)
		}
		reply, release, err := g.nodes[0].gate.Admit(t.Context(), g.term, body)
		if reply != nil || (release == nil) != (err != nil) {
			t.Errorf("version %d: reply %x", version, reply)
		}
		return err
	}
	if err := admit(fsm.MaxClusterVersion); err != nil {
		t.Error(err)
	}
	if err := admit(fsm.MaxClusterVersion + 1); !errors.Is(err, fsm.ErrUnknownFormat) {
		t.Errorf("got %v", err)
	}
}
