package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

// testRotations has the rotation in the entries "rotate CA REPLACES" and "advance SHA256 PHASE".
type testRotations struct {
	sm   atomic.Pointer[bytelog]
	hold *atomic.Value // the last phase that a rotation may get to: a RotationPhase
}

func (v *testRotations) Rotation() (r Rotation, err error) {
	sm := v.sm.Load()
	if sm == nil {
		return r, errors.New("no state yet")
	}
	for _, body := range sm.bodies() {
		var ca, with string
		if _, err := fmt.Sscanf(body, "rotate %s %s", &ca, &with); err == nil {
			if !r.running() || r.Phase == RotationTrust && with == r.fingerprint() {
				der, _ := hex.DecodeString(ca)
				r = Rotation{Phase: RotationTrust, CA: der, BegunAt: time.Unix(1, 0), PhaseAt: time.Unix(2, 0)}
			}
		}
		if _, err := fmt.Sscanf(body, "advance %s %s", &ca, &with); err == nil && r.running() && ca == r.fingerprint() && r.Phase.next() == RotationPhase(with) {
			r.Phase = RotationPhase(with)
		}
	}
	return r, nil
}

func (v *testRotations) Begin(ca []byte, replaces [sha256.Size]byte) ([]byte, error) {
	return fmt.Appendf(nil, "rotate %x %x", ca, replaces), nil
}

func (v *testRotations) Advance(ca [sha256.Size]byte, to RotationPhase) ([]byte, error) {
	if hold := v.hold.Load().(RotationPhase); to != hold && to.reached(hold) {
		return nil, fmt.Errorf("the test holds it at %s", hold)
	}
	return fmt.Appendf(nil, "advance %x %s", ca, to), nil
}

func (v *testRotations) Decided([]byte) error { return nil }

// rotatingCluster is one whose CA the first member has. A rotation gets to hold, and
// no further.
type rotatingCluster struct {
	*testing.T
	all  []*member
	hold atomic.Value
}

func newRotating(t *testing.T, size int) *rotatingCluster {
	t.Helper()
	rc := &rotatingCluster{T: t}
	rc.holdAt(RotationDone)
	for i := range size {
		rc.add(fmt.Sprintf("n%d", i+1))
	}
	n1 := rc.all[0]
	if err := certs.WriteAuthority(n1.cfg.Certs.Dir(), testCA()); err != nil {
		t.Fatal(err)
	}
	n1.bootstrap()
	for _, m := range rc.all[1:] {
		rc.join(m, testToken)
	}
	return rc
}

// add opens a node, with a certificate of the old CA unless change takes it away.
func (rc *rotatingCluster) add(name string, change ...func(*Config)) *member {
	rc.Helper()
	v := &testRotations{hold: &rc.hold}
	m := newMember(rc.T, name, append([]func(*Config){patient, func(c *Config) { c.Rotations, c.exchangeInterval = v, 100*time.Millisecond }}, change...)...)
	v.sm.Store(m.sm)
	rc.all = append(rc.all, m)
	return m
}

func (rc *rotatingCluster) join(m *member, token string) {
	rc.Helper()
	rc.joinAs(m, token, false)
}

// joinAs asks again where a busy machine has let nobody answer in time.
func (rc *rotatingCluster) joinAs(m *member, token string, nonvoter bool) {
	rc.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*awaitTime)
	defer cancel()
	err := m.Join(ctx, rc.all[0].ports.peerAdvertise, token, nonvoter)
	for errors.Is(err, errUnreachable) && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = m.Join(ctx, rc.all[0].ports.peerAdvertise, token, nonvoter)
	}
	if err != nil {
		rc.Fatalf("%s: %v", m.name(), err)
	}
}

func (rc *rotatingCluster) holdAt(phase RotationPhase) { rc.hold.Store(phase) }

// goOn lets the rotation get to a phase, and waits until all members are done with it.
func (rc *rotatingCluster) goOn(to RotationPhase) {
	rc.Helper()
	rc.holdAt(to)
	for _, m := range rc.all {
		done := func() bool {
			r := m.CARotation()
			return r != nil && r.Phase == to && len(r.Awaiting) == 0
		}
		// A phase may need an election or two on a busy machine.
		for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > 4*awaitTime {
				rc.Fatalf("%s is never done with %s: it is at %+v", m.name(), to, m.CARotation())
			}
		}
	}
}

func (rc *rotatingCluster) rotate(m *member) string {
	rc.Helper()
	ca, err := m.RotateCA(m.ctx())
	if err != nil {
		rc.Fatal(err)
	}
	return ca
}

func (rc *rotatingCluster) transfer(to *member) {
	rc.Helper()
	eventually(rc.T, to.name()+" to lead", func() bool {
		return to.TransferLeadership(to.ctx(), to.name()) == nil
	})
}

// token is one with which a node without a certificate joins, as m's status makes it.
func (rc *rotatingCluster) token(m *member) string {
	return strings.Join(append([]string{testToken}, m.JoinCAs()...), ".")
}

func withoutCertificate(c *Config) {
	store, err := certs.Open(filepath.Join(c.DataDir, "certs"), time.Now)
	if err != nil {
		panic(err)
	}
	c.Certs = store
}

// load has all members that there are propose until stop, which returns what they have.
// An outcome is unknown only where leadership is lost, as on a machine so busy that no
// node runs.
func (rc *rotatingCluster) load() (stop func() []string) {
	var mu sync.Mutex
	var all []string
	var wg sync.WaitGroup
	ended := make(chan struct{})
	for _, m := range rc.all {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				case <-time.After(20 * time.Millisecond):
				}
				body := fmt.Sprint(m.name(), " ", i)
				ctx, cancel := context.WithTimeout(context.Background(), 4*awaitTime)
				_, err := m.Propose(ctx, []byte(body))
				cancel()
				if errors.Is(err, ErrOutcomeUnknown) && strings.Contains(err.Error(), raft.ErrLeadershipLost.Error()) {
					continue
				}
				if err != nil {
					rc.Errorf("proposing through %s: %v", m.name(), err)
					return
				}
				mu.Lock()
				all = append(all, body)
				mu.Unlock()
			}
		})
	}
	return sync.OnceValue(func() []string {
		close(ended)
		wg.Wait()
		return all
	})
}

// A new CA takes the place of the old one while all members serve, others join, and
// leadership moves. No proposal fails.
func TestTheCAIsReplacedWhileMembersServe(t *testing.T) {
	t.Parallel()
	rc := newRotating(t, 2)
	n1, n2 := rc.all[0], rc.all[1]
	stop := rc.load()
	defer stop()
	rc.holdAt(RotationTrust)
	before := rc.token(n1)
	ca := rc.rotate(n2)
	if again := rc.rotate(n1); again != ca {
		t.Errorf("a second one began: %s, and %s before", again, ca)
	}
	rc.goOn(RotationTrust)
	n3 := rc.add("n3", withoutCertificate)
	rc.join(n3, before) // whoever knows the old CA still can
	rc.goOn(RotationTrust)
	during := rc.token(n3)

	rc.goOn(RotationIssue)
	late := rc.add("late", withoutCertificate)
	if err := late.Join(late.ctx(), n1.ports.peerAdvertise, before, false); !errors.Is(err, certs.ErrUntrusted) || !strings.Contains(err.Error(), "expected a CA with the SHA-256") {
		t.Errorf("by the old CA alone: %v", err)
	}
	rc.join(late, during)
	rc.goOn(RotationIssue)
	late.restart(false)
	rc.transfer(n2)
	rc.goOn(RotationIssue)

	rc.goOn(RotationRetire)
	old := rc.add("old")
	rc.all = without(rc.all, old)
	if err := old.Join(old.ctx(), n1.ports.peerAdvertise, testToken, false); !errors.Is(err, certs.ErrUntrusted) {
		t.Errorf("with a certificate of the old CA: %v", err)
	}
	rc.join(rc.add("n4", withoutCertificate), rc.token(n3))
	rc.goOn(RotationDone)

	want := append(stop(), "after")
	n3.mustPropose("after")
	for _, m := range rc.all {
		st := m.Status()
		if st.Certificate.CA != ca || !slices.Equal(st.Certificate.CAs, []string{ca}) || !slices.Equal(m.JoinCAs(), []string{ca}) {
			t.Errorf("%s: %+v, joiners by %s", m.name(), st.Certificate, m.JoinCAs())
		}
		if got, err := certs.ReadAuthority(m.cfg.Certs.Dir()); err != nil || certs.Fingerprint(got.Certificate()) != ca {
			t.Errorf("%s signs with another CA: %v", m.name(), err)
		}
		if _, err := os.Stat(filepath.Join(m.cfg.Certs.Dir(), "ca-next.pem")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", m.name(), err)
		}
		got := m.read()
		for _, body := range want {
			if !slices.Contains(got, body) {
				t.Fatalf("%s lacks %q", m.name(), body)
			}
		}
	}
	if key := []byte("PRIVATE"); slices.ContainsFunc(n1.read(), func(body string) bool { return bytes.Contains([]byte(body), key) }) {
		t.Error("a key is in the log")
	}
}

// A rotation waits for a member that is down, which nobody else does, and goes on when
// it is back or gone. Leadership moves meanwhile.
func TestADeadMemberHoldsARotationUp(t *testing.T) {
	t.Parallel()
	rc := newRotating(t, 2)
	n1, n2, n3 := rc.all[0], rc.all[1], rc.add("n3")
	rc.joinAs(n3, testToken, true)
	rc.holdAt(RotationTrust)
	ca := rc.rotate(n1)
	rc.goOn(RotationTrust)
	n3.stop()
	rc.holdAt(RotationDone)
	waitsFor := func(m *member) {
		t.Helper()
		eventually(t, "n3 to be waited for", func() bool {
			r := m.CARotation()
			return r.Phase != RotationDone && slices.Equal(r.Awaiting, []AwaitedMember{{"n3", "it does not answer"}})
		})
	}
	waitsFor(n1)
	n1.mustPropose("without n3")
	rc.transfer(n2)
	waitsFor(n2)
	if again := rc.rotate(n1); again != ca {
		t.Errorf("another one began: %s, and %s before", again, ca)
	}
	n3.start()
	rc.goOn(RotationDone)

	ca = rc.rotate(n1)
	n3.stop()
	eventually(t, "the next one to have begun", func() bool { return n1.CARotation().CA == ca })
	waitsFor(n1)
	if err := n1.Remove(n1.ctx(), "n3", false); err != nil {
		t.Fatal(err)
	}
	rc.all = rc.all[:2]
	rc.goOn(RotationDone)
	n3.gate = &testGate{}
	n3.start() // for its end
}

// Where whoever made the new CA is gone before another voter has its key, another CA is
// made: no certificate of the first is shown anywhere.
func TestTheKeyOfANewCAIsLost(t *testing.T) {
	t.Parallel()
	rc := newRotating(t, 2)
	n1, n2 := rc.all[0], rc.all[1]
	rc.holdAt(RotationTrust)
	lost := rc.rotate(n1)
	rc.goOn(RotationTrust)
	for _, m := range rc.all {
		if err := os.Remove(filepath.Join(m.cfg.Certs.Dir(), "ca-next.pem")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "another CA", func() bool { return n1.CARotation().CA != lost })
	rc.goOn(RotationDone)
	for _, m := range rc.all {
		if st := m.Status(); st.Certificate.CA == lost || slices.Contains(st.Certificate.CAs, lost) {
			t.Errorf("%s: %+v", m.name(), st.Certificate)
		}
	}
	n2.mustPropose("after")
}

// A CA that isn't the cluster's own is not replaced.
func TestWhoseCAIsNotReplaced(t *testing.T) {
	t.Parallel()
	m := newMember(t, "n1")
	m.bootstrap()
	if _, err := m.RotateCA(m.ctx()); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("a CA elsewhere: %v", err)
	}
	if r := m.CARotation(); r != nil || len(m.read()) > 0 {
		t.Errorf("it has begun: %+v", r)
	}
	older := newRotating(t, 1).all[0]
	older.gate.set(func(g *testGate) {
		g.admit = func([]byte) ([]byte, error) { return nil, errors.New("what is that?") }
	})
	if _, err := older.RotateCA(older.ctx()); !errors.Is(err, ErrClusterTooOld) || errors.Is(err, ErrInvalid) {
		t.Errorf("by a leader that doesn't know rotations: %v", err)
	}
	plain := newMember(t, "n1", func(c *Config) { c.Insecure = true })
	plain.bootstrap()
	if _, err := plain.RotateCA(plain.ctx()); !errors.Is(err, ErrNoAuthority) || !strings.Contains(err.Error(), "plain text") {
		t.Errorf("without TLS: %v", err)
	}
}

// The key of the new CA is for voters alone, and no other key is given away.
func TestWhoGetsTheNewCA(t *testing.T) {
	t.Parallel()
	rc := newRotating(t, 1)
	n1 := rc.all[0]
	n2 := rc.add("n2")
	rc.joinAs(n2, testToken, true)
	if err := certs.WriteAuthority(n2.cfg.Certs.Dir(), testCA()); err != nil {
		t.Fatal(err)
	}
	rc.holdAt(RotationTrust)
	ca := rc.rotate(n2)
	rc.goOn(RotationTrust)
	ask := func(m, of *member, ca string) error {
		c, err := m.running()
		if err != nil {
			t.Fatal(err)
		}
		s, _ := c.server(raft.ServerID(of.name()))
		_, err = m.hop.send(m.ctx(), c.hopTo(s, opAuthority, anyTerm), fmt.Appendf(nil, `{"ca":%q}`, ca))
		return err
	}
	if err := ask(n2, n1, ca); !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "is no voter") {
		t.Errorf("one that doesn't vote: %v", err)
	}
	if err := ask(n1, n2, ca); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("of one that doesn't have it: %v", err)
	}
	if err := ask(n1, n2, certs.Fingerprint(testCA().Certificate())); !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "not the one that is to come") {
		t.Errorf("the CA that there is: %v", err)
	}
	rc.goOn(RotationDone)
	if _, err := certs.ReadAuthority(n2.cfg.Certs.Dir()); !errors.Is(err, certs.ErrNoAuthority) {
		t.Errorf("one that doesn't vote keeps a CA: %v", err)
	}
	if st := n2.Status().Certificate; st.CA != ca {
		t.Errorf("it has %+v", st)
	}
}

// Requests that are under way when connections are renewed go on, and the node isn't
// done with the old ones before.
func TestRequestsOutliveTheRenewalOfConnections(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	follower := followerOf(all, leader)
	applying, goOn := make(chan struct{}), make(chan struct{})
	leader.sm.setStall(func([]byte) {
		close(applying)
		<-goOn
	})
	done := make(chan error, 1)
	go func() {
		_, err := follower.Propose(follower.ctx(), []byte("x"))
		done <- err
	}()
	<-applying
	if follower.hop.draining() {
		t.Error("before the renewal")
	}
	follower.hop.renew()
	if !follower.hop.draining() {
		t.Error("a request is under way on an old connection")
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	eventually(t, "the old connections to be left", func() bool { return !follower.hop.draining() })
}
