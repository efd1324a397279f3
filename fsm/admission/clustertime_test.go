package admission

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pipesync/fsm"
)

// sync commits one sync through leader and returns the cluster time that it got.
func (g *group) sync(t *testing.T, leader *node) int64 {
	t.Helper()
	body := syncBody(t, int(g.index))
	g.commit(t, leader, body)
	return leader.system(t).ClusterTime
}

func TestClusterTimeRunsWithTheLeadersClock(t *testing.T) {
	g := newGroup(t, 1)
	leader := g.nodes[0]
	first := g.sync(t, leader)
	for range 5 {
		leader.clock.advance(17 * time.Second)
		if got, want := g.sync(t, leader), first+int64(17*time.Second); got != want {
			t.Fatalf("after 17 s cluster time moved by %v", time.Duration(got-first))
		}
		first += int64(17 * time.Second)
	}
	// Entries applied in the term don't move its base.
	if got := leader.gate.ClusterTime(g.term); got != first {
		t.Errorf("the gate says %d, the last entry %d", got, first)
	}
}

func TestALeaderCountsTheTimeSinceItAppliedTheLastEntry(t *testing.T) {
	g := newGroup(t, 2)
	last := g.sync(t, g.nodes[0])
	for _, n := range g.nodes {
		n.clock.advance(40 * time.Second)
	}
	second := g.lead(1)
	if got, want := second.gate.ClusterTime(g.term), last+int64(40*time.Second); got != want {
		t.Errorf("the new leader begins %v after the last entry, want 40s", time.Duration(got-last))
	}
}

func TestARestartedLeaderCountsNothingOfTheTimeBefore(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	last := g.sync(t, n)
	n.stop(t)
	n.clock = newClock(3 * time.Second) // another boot: the clock begins anew
	n.start(t)
	n.clock.advance(time.Minute)
	g.lead(0)
	if got := n.gate.ClusterTime(g.term); got != last {
		t.Errorf("the restarted leader begins %v after the last entry, want 0", time.Duration(got-last))
	}
	n.clock.advance(time.Second)
	if got, want := g.sync(t, n), last+int64(time.Second); got != want {
		t.Errorf("a second later it is %v", time.Duration(got-last))
	}
}

// TestAnObservationOfAnotherStateIsNotUsed covers a node that took a snapshot after the
// last entry that it applied itself.
func TestAnObservationOfAnotherStateIsNotUsed(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	last := g.sync(t, n)
	for _, observed := range []struct {
		index       uint64
		clusterTime int64
	}{{g.index - 1, last}, {g.index, last - 1}, {g.index + 1, last}} {
		n.gate.Observe(observed.index, observed.clusterTime)
		n.clock.advance(time.Minute)
		g.lead(0)
		if got := n.gate.ClusterTime(g.term); got != last {
			t.Errorf("observed %+v: the term begins %v late", observed, time.Duration(got-last))
		}
	}
}

func TestATermIsNeverRebased(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	n.clock.advance(time.Second)
	before := n.gate.ClusterTime(g.term)
	n.gate.Observe(g.index, before+int64(time.Hour))
	n.gate.LeaderReady(g.term)
	n.gate.LeaderReady(g.term - 1)
	if got := n.gate.ClusterTime(g.term); got != before {
		t.Errorf("cluster time moved by %v", time.Duration(got-before))
	}
}

func TestAStampNamesItsTermAndTimes(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]
	n.clock.advance(5 * time.Second)
	body := syncBody(t, 1)
	got, err := fsm.DecodeStamp(n.gate.Stamp(g.term, body), body)
	want := fsm.Stamp{Term: g.term, ClusterTime: n.gate.ClusterTime(g.term), WallTime: n.clock.Wall().UnixNano()}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	old := g.term
	g.lead(0)
	got, err = fsm.DecodeStamp(n.gate.Stamp(old, body), body)
	if err != nil || got.Term != old || got.ClusterTime != 0 {
		t.Errorf("for a term that has passed: %+v, %v", got, err)
	}
}

// TestClusterTimeNeverRunsFast drives three nodes at random through changes of leader,
// restarts, sleep and stretches of real time, and holds each entry against the real time
// of all before it: cluster time never goes back, never passes faster than real time, and
// passes exactly as fast while one leader stays and stays awake.
func TestClusterTimeNeverRunsFast(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			g := newGroup(t, 3)
			leader := 0
			var real time.Duration
			var steps []string
			var before struct {
				real    time.Duration
				cluster int64
				steady  bool // the same leader, awake, since
			}
			for range 150 {
				switch step := random.IntN(10); {
				case step < 3: // real time passes; perhaps not for one node
					d := time.Duration(random.Int64N(int64(90 * time.Second)))
					real += d
					asleep := -1
					if random.IntN(3) == 0 {
						asleep = random.IntN(len(g.nodes))
					}
					for i, n := range g.nodes {
						if i != asleep {
							n.clock.advance(d)
						}
					}
					before.steady = before.steady && asleep != leader
					steps = append(steps, fmt.Sprintf("%v pass, asleep: %d", d, asleep))
				case step == 3:
					leader = random.IntN(len(g.nodes))
					g.lead(leader)
					before.steady = false
					steps = append(steps, fmt.Sprintf("%d leads", leader))
				case step == 4: // a process restarts, on the same boot or another
					i := random.IntN(len(g.nodes))
					n := g.nodes[i]
					n.stop(t)
					if random.IntN(2) == 0 {
						n.clock = newClock(time.Duration(random.Int64N(int64(time.Hour))))
					}
					n.start(t)
					if i == leader {
						leader = (i + 1) % len(g.nodes)
						g.lead(leader)
						before.steady = false
					}
					steps = append(steps, fmt.Sprintf("%d restarts, %d leads", i, leader))
				default:
					cluster := g.sync(t, g.nodes[leader])
					passed, realPassed := time.Duration(cluster-before.cluster), real-before.real
					steps = append(steps, fmt.Sprintf("entry at %v, cluster time %v", real, time.Duration(cluster)))
					if passed < 0 || passed > realPassed || (before.steady && passed != realPassed) {
						t.Fatalf("%v of cluster time passed in %v (steady: %t):\n%q", passed, realPassed, before.steady, lastOf(steps, 12))
					}
					before.real, before.cluster, before.steady = real, cluster, true
				}
			}
			if !slices.ContainsFunc(steps, func(s string) bool { return s[0] == 'e' }) {
				t.Error("no entry in this run")
			}
		})
	}
}

func lastOf(s []string, n int) []string { return s[max(0, len(s)-n):] }

func TestSystemClockAdvances(t *testing.T) {
	var c SystemClock
	last := c.Monotonic()
	for range 1000 {
		now := c.Monotonic()
		if now < last {
			t.Fatalf("%v after %v", now, last)
		}
		last = now
	}
	if last <= 0 || c.Wall().Year() < 2024 {
		t.Errorf("monotonic %v, wall %v", last, c.Wall())
	}
}
