package admission

import (
	"errors"
	"testing"

	"pipesync/fsm"
	"pipesync/storage"
)

// applications counts the syncs that every node has applied, and fails where they
// don't agree.
func (g *group) applications(t *testing.T) uint64 {
	t.Helper()
	var counts []uint64
	for _, n := range g.nodes {
		view, err := n.fsm.View()
		if err != nil {
			t.Fatal(err)
		}
		w, _, err := view.Window(testOrg, 0)
		view.Close()
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, uint64(w.Limit-w.Remaining))
		if counts[0] != counts[len(counts)-1] {
			t.Errorf("the nodes have applied %v syncs", counts)
		}
	}
	return counts[0]
}

// admitted takes body past the leader's look-up, and no further.
func (g *group) admitted(t *testing.T, leader *node, body []byte) func([]byte) {
	t.Helper()
	reply, release, err := leader.gate.Admit(t.Context(), g.term, body)
	if err != nil || reply != nil {
		t.Fatalf("not admitted: %x, %v", reply, err)
	}
	return release
}

// A forwarded proposal is held up behind the leader's look-up, given up by the node
// that sent it, and overtaken by its repetition.
func TestAProposalDelayedPastTheLookUp(t *testing.T) {
	g := newGroup(t, 2)
	leader := g.nodes[0]
	body := syncBody(t, 1)
	releaseFirst := g.admitted(t, leader, body)
	releaseAgain := g.admitted(t, leader, body)
	again := g.commit(t, leader, body)
	releaseAgain(nil)
	first := g.commit(t, leader, body)
	releaseFirst(nil)
	if got := decode(t, again); got.Outcome != fsm.OK || string(again) != string(first) {
		t.Errorf("answered %+v, and then %+v", got, decode(t, first))
	}
	last := g.index
	if got := g.propose(t, leader, body); string(got) != string(again) || g.index != last {
		t.Errorf("before the log: %+v, after %d entries", decode(t, got), g.index-last)
	}
	if n := g.applications(t); n != 1 {
		t.Errorf("applied %d times", n)
	}
}

// The leader that a proposal was forwarded to is replaced while it holds it. The
// entry may come into the log in its term or, late, in the next one.
func TestAProposalDelayedPastALeaderChange(t *testing.T) {
	for name, appended := range map[string]bool{"appended before": true, "not appended": false} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 2)
			old, body := g.nodes[0], syncBody(t, 1)
			release := g.admitted(t, old, body)
			oldTerm, stamp := g.term, old.gate.Stamp(g.term, body)
			want := uint64(0)
			if appended {
				// Committed by the next leader, before its term begins.
				want = g.index + 1
				if _, ok := g.apply(old, body, stamp).([]byte); !ok {
					t.Fatal("not applied")
				}
			}
			next := g.lead(1)
			again := decode(t, g.propose(t, next, body))
			if again.Outcome != fsm.OK || appended && again.Index != want {
				t.Errorf("proposed again: %+v", again)
			}
			// What the old leader still holds can only be appended in a term that
			// it wasn't stamped in.
			_, fenced := g.apply(next, body, stamp).(error)
			if !fenced {
				t.Error("an entry of the old term was applied in the new one")
			}
			if _, _, err := next.gate.Admit(t.Context(), oldTerm, body); !errors.Is(err, ErrTerm) {
				t.Errorf("the new leader admits for the old term: %v", err)
			}
			release(nil)
			if n := g.applications(t); n != 1 {
				t.Errorf("applied %d times", n)
			}
		})
	}
}

// Two proposals with one idempotency key, and ids of their own, are in flight at
// once: both go to the log, and Apply answers the second from the first.
func TestTwoWithOneKeyInFlight(t *testing.T) {
	g := newGroup(t, 1)
	key := func(s *fsm.Sync) {
		s.Idempotency = fsm.Idempotency{Key: storage.KeyHash{1}, Request: storage.RequestHash{1}}
	}
	first, second := syncBody(t, 1, key), syncBody(t, 2, key)
	for _, body := range [][]byte{first, second} {
		defer g.admitted(t, g.nodes[0], body)(nil)
	}
	one, two := decode(t, g.commit(t, g.nodes[0], first)), decode(t, g.commit(t, g.nodes[0], second))
	if one.Outcome != fsm.OK || two.Outcome != fsm.Replayed || two.Index != one.Index || two.Sync.SyncID != "sync_1" {
		t.Errorf("%+v, then %+v", one, two)
	}
	last := g.index
	third := decode(t, g.propose(t, g.nodes[0], syncBody(t, 3, key)))
	if third.Outcome != fsm.Replayed || g.index != last || g.applications(t) != 1 {
		t.Errorf("%+v", third)
	}
}
