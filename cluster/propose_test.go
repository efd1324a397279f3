package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The same faults, injected into the leader's state machine and gate, are told
// in the same class on the leader and on a follower.
func TestOutcomeClasses(t *testing.T) {
	all := newCluster(t, 3)
	leader := leaderOf(t, all)
	for _, via := range []*member{leader, followerOf(all, leader)} {
		where := "on the leader"
		if via != leader {
			where = "through a follower"
		}
		t.Run(where, func(t *testing.T) {
			for name, response := range map[string]any{"nil": nil, "foreign": 7, "error": errors.New("odd")} {
				body := where + " " + name
				leader.sm.setRespond(func(b []byte, _ uint64) (any, bool) { return response, string(b) == body })
				_, err := via.Propose(via.ctx(), []byte(body))
				if class(t, err) != "unknown" {
					t.Errorf("%s response: %v", name, err)
				}
				if got := count(via.read(), body); got != 1 {
					t.Errorf("%s response: in the log %d times", name, got)
				}
			}
			leader.sm.setRespond(nil)

			leader.gate.set(func(g *testGate) {
				g.admit = func(body []byte) ([]byte, error) {
					switch string(body) {
					case "poison":
						return nil, errors.New("malformed")
					case "full":
						return nil, fullError{}
					case "refused":
						return []byte("no"), nil
					}
					return nil, nil
				}
			})
			if _, err := via.Propose(via.ctx(), []byte("poison")); !errors.Is(err, ErrInvalid) || class(t, err) != "not applied" {
				t.Errorf("poison: %v", err)
			}
			if _, err := via.Propose(via.ctx(), []byte("full")); !errors.Is(err, ErrOverloaded) || class(t, err) != "not applied" {
				t.Errorf("full: %v", err)
			}
			reply, err := via.Propose(via.ctx(), []byte("refused"))
			if err != nil || string(reply) != "no" {
				t.Errorf("refused: %q, %v", reply, err)
			}
			for _, body := range via.read() {
				if slices.Contains([]string{"poison", "full", "refused"}, body) {
					t.Errorf("%q is in the log", body)
				}
			}
		})
	}
	eventually(t, "every admission to be released", func() bool { open, _ := leader.gate.state(); return open == 0 })
}

func count(bodies []string, body string) int {
	n := 0
	for _, b := range bodies {
		if b == body {
			n++
		}
	}
	return n
}

// The gate is told what the state machine replied, and nothing where it gave no reply.
func TestTheGateIsToldTheReply(t *testing.T) {
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	leader.sm.setRespond(func(b []byte, _ uint64) (any, bool) {
		if string(b) == "silent" {
			return errors.New("odd"), true
		}
		return append([]byte("reply to "), b...), true
	})
	for _, body := range []string{"one", "silent", "two"} {
		_, err := followerOf(all, leader).Propose(leader.ctx(), []byte(body))
		if (err != nil) != (body == "silent") {
			t.Fatalf("%s: %v", body, err)
		}
	}
	leader.gate.set(func(g *testGate) {
		if want := []string{"reply to one", "", "reply to two"}; !slices.Equal(g.told, want) {
			t.Errorf("the gate was told %q, want %q", g.told, want)
		}
	})
}

// An entry stamped for another term changes nothing and is proposed again.
func TestFencedIsRepeated(t *testing.T) {
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	stamps := 0
	leader.gate.set(func(g *testGate) {
		g.stamp = func(term uint64) uint64 {
			stamps++
			if stamps <= 2 {
				return term - 1
			}
			return term
		}
	})
	via := followerOf(all, leader)
	via.mustPropose("once")
	if got := count(via.read(), "once"); got != 1 || stamps != 3 {
		t.Errorf("applied %d times after %d stamps", got, stamps)
	}
}

// A deadline that passes after the entry was appended leaves the outcome open,
// and the admission is released only when Raft tells it.
func TestDeadlineAfterAppend(t *testing.T) {
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	for _, via := range all {
		body := "slow through " + via.name()
		applying, release := make(chan struct{}), make(chan struct{})
		leader.sm.setStall(func(b []byte) {
			if string(b) == body {
				close(applying)
				<-release
			}
		})
		ctx, cancel := context.WithCancel(via.ctx())
		go func() { <-applying; cancel() }()
		_, err := via.Propose(ctx, []byte(body))
		if class(t, err) != "unknown" {
			t.Errorf("via %s: %v", via.name(), err)
		}
		if open, _ := leader.gate.state(); open != 1 {
			t.Errorf("via %s: %d admissions open before the outcome", via.name(), open)
		}
		close(release)
		eventually(t, "the release", func() bool { open, _ := leader.gate.state(); return open == 0 })
		if count(via.read(), body) != 1 {
			t.Errorf("via %s: the entry is lost", via.name())
		}
	}
}

func TestNoLeaderWithinTheDeadline(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 2, impatient)
	leader := leaderOf(t, all)
	alone := followerOf(all, leader)
	leader.stop()
	// The first may meet a dying connection.
	alone.proposeInVain("x", 3*impatientTimeout, ErrNoLeader)
}

// proposeInVain proposes with so short a deadline until body is not applied because
// of why: the deadline may pass early, or during an attempt, which leaves the outcome
// open.
func (m *member) proposeInVain(body string, deadline time.Duration, why error) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("a proposal that is not applied: %v", why), func() bool {
		ctx, cancel := context.WithTimeout(m.t.Context(), deadline)
		defer cancel()
		_, err := m.Propose(ctx, []byte(body))
		return class(m.t, err) == "not applied" && errors.Is(err, why)
	})
}

func TestBytesInFlightAreBounded(t *testing.T) {
	t.Parallel()
	m := newMember(t, "small", func(c *Config) { c.MaxInFlightBytes = 8 * 1000 })
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Propose(m.ctx(), make([]byte, 1001)); !errors.Is(err, ErrInvalid) {
		t.Errorf("a body that never fits: %v", err)
	}
	applying, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.sm.setStall(func([]byte) { once.Do(func() { close(applying) }); <-release })
	var wg sync.WaitGroup
	wg.Go(func() { m.mustPropose(strings.Repeat("x", 600)) })
	<-applying
	ctx, cancel := context.WithCancel(m.ctx())
	refused := make(chan error, 1)
	go func() {
		_, err := m.Propose(ctx, make([]byte, 600))
		refused <- err
	}()
	awaitTurns(t, m, 1)
	cancel()
	if err := <-refused; !errors.Is(err, ErrOverloaded) || class(t, err) != "not applied" {
		t.Errorf("a second body that can't wait longer: %v", err)
	}
	close(release)
	wg.Wait()
	m.mustPropose(strings.Repeat("y", 600))
}

// awaitTurns returns when so many proposals wait for room on m.
func awaitTurns(t *testing.T, m *member, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d to wait", n), func() bool {
		waiting, _, _ := m.budget.turns.length()
		return waiting == n
	})
}

// The leader knows whose turn a forwarded proposal takes before it has its body.
func TestFlowsTakeTurnsOverTheHop(t *testing.T) {
	all := newCluster(t, 2, func(c *Config) { c.MaxInFlightBytes = bytesPerBodyByte * 300_000 })
	leader := leaderOf(t, all)
	via := followerOf(all, leader)
	applying, release := make(chan string), make(chan struct{})
	leader.sm.setStall(func(body []byte) {
		if strings.HasPrefix(string(body), "a/") {
			applying <- string(body[:3])
			<-release
		}
	})
	var wg sync.WaitGroup
	propose := func(m *member, name string, size int) {
		wg.Go(func() { m.mustPropose(name + strings.Repeat("x", size-len(name))) })
	}
	propose(leader, "a/0", 160_000)
	<-applying
	before := leader.Status().LastLogIndex
	propose(leader, "a/1", 100_000)
	eventually(t, "a/1 to be in the log", func() bool { return leader.Status().LastLogIndex > before })
	// The first to come doesn't fit in one turn.
	for i, next := range []struct {
		name string
		size int
	}{{"größe a/2", 149_000}, {"b&c/3", 60_000}} {
		propose(via, next.name, next.size)
		awaitTurns(t, leader, i+1)
	}
	// What a/0 gives back has room for one of them, and a/1's keeps out the other.
	release <- struct{}{}
	<-applying
	eventually(t, "one more to be in the log", func() bool { return leader.Status().LastLogIndex > before+1 })
	release <- struct{}{}
	wg.Wait()
	var order []string
	for _, body := range via.read() {
		order = append(order, strings.TrimRight(body, "x"))
	}
	if want := []string{"a/0", "a/1", "b&c/3", "größe a/2"}; !slices.Equal(order, want) {
		t.Errorf("in the order %q, not %q", order, want)
	}
}

// Leadership moves from node to node under load. Whatever was acknowledged is
// there exactly once, what was not applied never, and what is unknown at most
// once.
func TestTransferUnderLoad(t *testing.T) {
	all := newCluster(t, 3)
	var mu sync.Mutex
	outcomes := map[string]string{}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				body := fmt.Sprintf("%d/%d", w, i)
				reply, err := all[w%3].Propose(all[w%3].ctx(), []byte(body))
				if err == nil && len(reply) == 0 {
					t.Errorf("%s: empty reply", body)
				}
				mu.Lock()
				outcomes[body] = class(t, err)
				mu.Unlock()
			}
		})
	}
	const transfers = 6
	acked := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range outcomes {
			if c == "decided" {
				n++
			}
		}
		return n
	}
	for i := range transfers {
		before := leaderOf(t, all)
		target := all[(slices.Index(all, before)+1)%3]
		// Any node can be asked.
		if err := all[i%3].TransferLeadership(all[i%3].ctx(), target.name()); err != nil {
			t.Errorf("transfer %d: %v", i, err)
		}
		if now := leaderOf(t, all); now != target {
			t.Errorf("transfer %d went to %s, not %s", i, now.name(), target.name())
		}
		seen := acked()
		eventually(t, "progress under the new leader", func() bool { return acked() > seen+20 })
	}
	stop()
	wg.Wait()
	checkOutcomes(t, all, outcomes)
}

func checkOutcomes(t *testing.T, all []*member, outcomes map[string]string) {
	t.Helper()
	first := all[0].read()
	times := map[string]int{}
	for _, body := range first {
		times[body]++
	}
	decided := 0
	for body, class := range outcomes {
		n := times[body]
		if class == "decided" {
			decided++
		}
		if n > 1 || (class == "decided" && n != 1) || (class == "not applied" && n != 0) {
			t.Errorf("%s was %s and is there %d times", body, class, n)
		}
	}
	for _, m := range all[1:] {
		if !slices.Equal(first, m.read()) {
			t.Errorf("%s differs", m.name())
		}
	}
	t.Logf("%d acknowledged of %d", decided, len(outcomes))
}

// The leader stops for good in the middle of the load, twice, and comes back
// empty: it catches up from the log.
func TestLeaderRestartUnderLoad(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3, impatient)
	var mu sync.Mutex
	outcomes := map[string]string{}
	for round := range 2 {
		leader := leaderOf(t, all)
		others := without(all, leader)
		var wg sync.WaitGroup
		for w, m := range others {
			wg.Go(func() {
				for i := range 60 {
					body := fmt.Sprintf("%d/%d/%d", round, w, i)
					_, err := m.Propose(m.ctx(), []byte(body))
					mu.Lock()
					outcomes[body] = class(t, err)
					mu.Unlock()
				}
			})
		}
		eventually(t, "some load", func() bool { mu.Lock(); defer mu.Unlock(); return len(outcomes) > round*120+10 })
		leader.links.sever("") // as abrupt as it can be made
		leader.stop()
		wg.Wait()
		leaderOf(t, others)
		leader.links.heal()
		leader.gate, leader.sm = &testGate{}, newBytelog()
		leader.start()
		eventually(t, "readiness after the restart", func() bool { return leader.Status().Ready })
	}
	checkOutcomes(t, all, outcomes)
}

func TestStoppedNodeRefuses(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := m.Propose(ctx, []byte("x")); !errors.Is(err, ErrStopped) {
		t.Errorf("propose: %v", err)
	}
	if _, err := m.ReadIndex(ctx); !errors.Is(err, ErrStopped) {
		t.Errorf("read index: %v", err)
	}
	if err := m.Join(ctx, "127.0.0.1:1", testToken, false); !errors.Is(err, ErrStopped) {
		t.Errorf("join: %v", err)
	}
}
