package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

// TestReplicationIsWhatAnswersShow: each step is an answer, and what it leaves known.
func TestReplicationIsWhatAnswersShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplication()
		const last = 10
		lag := func(n uint64) *uint64 { return &n }
		entries := make([]*raft.Log, 2)
		for i, step := range []struct {
			term, answered uint64 // of request and answer
			prev           uint64
			entries        []*raft.Log
			success        bool
			lastLog        uint64
			heard          bool
			lag            *uint64
		}{
			{term: 3, answered: 3, success: true, heard: true},                                         // a heartbeat
			{term: 3, answered: 3, prev: 4, lastLog: 2, heard: true, lag: lag(8)},                      // it lacks entries
			{term: 3, answered: 3, prev: 2, lastLog: 9, heard: true, lag: lag(9)},                      // it has others
			{term: 3, answered: 3, prev: 1, entries: entries, success: true, heard: true, lag: lag(7)}, // 2 and 3
			{term: 3, answered: 3, success: true, heard: true, lag: lag(7)},
			{term: 3, answered: 4, prev: 9, lag: lag(7)},                              // it has heard of another leader
			{term: 2, answered: 2, prev: 9, success: true, lag: lag(7)},               // late
			{term: 3, answered: 3, prev: 12, success: true, heard: true, lag: lag(0)}, // last is older
			{term: 5, answered: 5, success: true, heard: true},                        // of the next term nothing is known
			{term: 5, answered: 5, prev: 1, lastLog: 0, heard: true, lag: lag(10)},
		} {
			time.Sleep(time.Second)
			r.answered("b", &raft.AppendEntriesRequest{Term: step.term, PrevLogEntry: step.prev, Entries: step.entries},
				&raft.AppendEntriesResponse{Term: step.answered, Success: step.success, LastLog: step.lastLog})
			got := r.followers(max(step.term, 3), func() uint64 { return last })["b"]
			if diff := cmp.Diff(step.lag, got.Lag); diff != "" {
				t.Errorf("step %d: lag %s", i, diff)
			}
			if heard := got.Silence != nil && *got.Silence == 0; heard != step.heard {
				t.Errorf("step %d: heard %t", i, heard)
			}
		}
		if got := r.followers(4, func() uint64 { return last }); got != nil {
			t.Errorf("of a term in which nobody has answered: %+v", got)
		}
	})
}

// TestHeardFollowers: what the leader has told grows old, and ends with it.
func TestHeardFollowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heardFollowers
		if got := h.of("", "b"); got != (Follower{}) {
			t.Errorf("nothing was told, and it is %+v", got)
		}
		lag, second, none := uint64(7), time.Second, time.Duration(0)
		h.learn("a", map[string]Follower{"a": {Lag: new(uint64), Silence: &none}, "b": {Lag: &lag, Silence: &second}})
		time.Sleep(2 * time.Second)
		if got := h.of("a", "b"); *got.Lag != 7 || *got.Silence != 3*time.Second {
			t.Errorf("lag %d, silence %s", *got.Lag, *got.Silence)
		}
		if got := h.of("a", "a"); *got.Lag != 0 || *got.Silence != 0 {
			t.Errorf("leader: lag %d, silence %s", *got.Lag, *got.Silence)
		}
		for _, of := range [][2]string{{"a", "c"}, {"c", "b"}, {"", "b"}} {
			if got := h.of(of[0], of[1]); got != (Follower{}) {
				t.Errorf("%s under %s: %+v", of[1], of[0], got)
			}
		}
		time.Sleep(maxFollowersAge)
		if got := h.of("a", "b"); got != (Follower{}) {
			t.Errorf("long ago: %+v", got)
		}
	})
}

// TestLagOfMembers: every member tells how far each is behind the leader, and for how
// long it hasn't answered.
func TestLagOfMembers(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	all[0].mustPropose("before")
	if leaderOf(t, all).name() != "n1" {
		t.Fatal("another leads than the test expects")
	}
	follower := func(at *member, id string) Follower {
		members, err := at.Members()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			if m.ID == id {
				return m.Follower
			}
		}
		t.Fatalf("%s isn't listed", id)
		return Follower{}
	}
	up := func(f Follower) bool {
		return f.Lag != nil && *f.Lag == 0 && f.Silence != nil && *f.Silence < awaitTime
	}
	eventually(t, "all to know that nobody lags", func() bool {
		for _, at := range all {
			for _, of := range all {
				if !up(follower(at, of.name())) {
					return false
				}
			}
		}
		return true
	})
	all[2].stop()
	for range 5 {
		all[0].mustPropose("without it")
	}
	stopped := time.Now()
	for _, at := range all[:2] {
		eventually(t, at.name()+" to know who lags", func() bool {
			gone := follower(at, "n3")
			return gone.Lag != nil && *gone.Lag >= 5 && up(follower(at, "n1")) && up(follower(at, "n2"))
		})
		first := *follower(at, "n3").Silence
		eventually(t, at.name()+" to know that it is silent", func() bool {
			f := follower(at, "n3")
			return f.Silence != nil && *f.Silence > first
		})
	}
	if f := follower(all[0], "n3"); *f.Silence > time.Since(stopped)+awaitTime {
		t.Errorf("silent for %s", *f.Silence)
	}
}
