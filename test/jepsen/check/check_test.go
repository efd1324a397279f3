package check

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pipesync/test/jepsen/history"
)

const ms = time.Millisecond

func write(namespace, id string, value int64) history.Write {
	return history.Write{Namespace: namespace, ID: id, Value: value}
}

func record(id string, value int64, index uint64) history.Record {
	return history.Record{ID: id, Value: value, Index: index}
}

// sound is a history in which everything is as it should be. Each call makes another.
func sound() *history.History {
	h := &history.History{
		Seed: 1, Nodes: 3, Window: time.Minute, Limits: map[string]int{"o1": 100, "o2": 100},
		Faults: []history.Fault{{Kind: "kill", On: []string{"n1"}, Began: 40 * ms, Healed: 50 * ms, Proof: "exited", Recovered: 60 * ms}},
		Rots: []history.Rot{
			{Node: "n1", File: "log", How: "bit flipped", Place: "entry 7", At: 40 * ms, Detected: "entry 7 has rotted"},
			{Node: "n1", File: "manifest", How: "tail torn", Place: "record 9", At: 41 * ms, Repaired: "replayed"},
			{Node: "n1", File: "table", How: "bit flipped", Place: "block 3", At: 42 * ms, Gone: "compacted"},
		},
		Leaders: []history.Leader{
			{Node: "n1", Term: 2, Leader: "n1"}, {Node: "n2", Term: 2, Leader: "n1"}, {Node: "n2", Term: 3, Leader: "n3"},
		},
		Crashes:  []history.Crash{{Node: "n1", At: 20 * ms, AtLeast: 9, Applied: 11}},
		Backups:  []history.Backup{{Node: "n1", Began: 20 * ms, Index: 12}},
		Attempts: []history.Attempt{{What: "to get in", Node: "n1", At: 20 * ms, Said: "no"}},
		Finals:   []history.Final{{Node: "n1", Index: 50, Hash: "aa"}, {Node: "n2", Index: 50, Hash: "aa"}, {Node: "n3", Index: 50, Hash: "aa"}},
	}
	add := func(op history.Op) {
		op.ID, op.Client = len(h.Ops), len(h.Ops)
		if op.Outcome == "" {
			op.Outcome = history.OK
		}
		h.Ops = append(h.Ops, op)
		if op.Sync != nil && op.Sync.Index != 0 && !op.Sync.Repeat {
			h.Commits = append(h.Commits, history.Commit{Org: op.Org, SyncID: op.Sync.SyncID, Index: op.Sync.Index, KeyID: op.KeyID, Namespaces: namespacesOf(&op)})
		}
	}
	// 0: two records at once
	add(history.Op{Org: "o1", Invoked: 0, Returned: 5 * ms, Sync: &history.Sync{Mode: history.Incremental, Key: "k0", SyncID: "s0", Index: 10,
		Writes: []history.Write{write("a", "x", 1), write("a", "y", 2)}, Details: history.Details{Created: 2}}})
	// 1: an update and a deletion
	add(history.Op{Org: "o1", Invoked: 6 * ms, Returned: 9 * ms, Sync: &history.Sync{Mode: history.Incremental, Key: "k1", SyncID: "s1", Index: 11,
		Writes: []history.Write{write("a", "x", 3), write("a", "y", 0)}, Details: history.Details{Updated: 1, Removed: 1}}})
	// 2: the same again
	add(history.Op{Org: "o1", Invoked: 10 * ms, Returned: 11 * ms, Sync: &history.Sync{Mode: history.Incremental, Key: "k1", SyncID: "s1", Index: 11,
		Writes: []history.Write{write("a", "x", 3), write("a", "y", 0)}, Details: history.Details{Updated: 1, Removed: 1}, Repeat: true, Replayed: true}})
	// 3: a read of it
	add(history.Op{Org: "o1", Invoked: 12 * ms, Returned: 13 * ms, Read: &history.Read{Namespace: "a", Linearizable: true, Index: 11,
		Records: []history.Record{record("x", 3, 11)}}})
	// 4: one of what was before
	add(history.Op{Org: "o1", Invoked: 14 * ms, Returned: 15 * ms, Read: &history.Read{Namespace: "a", Index: 10,
		Records: []history.Record{record("x", 1, 10), record("y", 2, 10)}}})
	// 5: of unknown outcome, and 6 shows it
	add(history.Op{Org: "o1", Invoked: 16 * ms, Returned: 20 * ms, Outcome: history.Unknown, Sync: &history.Sync{Mode: history.Incremental,
		Writes: []history.Write{write("loose", "p", 4), write("loose", "q", 5)}}})
	add(history.Op{Org: "o1", Invoked: 21 * ms, Returned: 22 * ms, Read: &history.Read{Namespace: "loose", Linearizable: true, Index: 12,
		Records: []history.Record{record("p", 4, 12), record("q", 5, 12)}}})
	h.Commits = append(h.Commits, history.Commit{Org: "o1", SyncID: "s5", Index: 12, Namespaces: []string{"loose"}})
	// 7 and 8: a refresh, and one of another organization
	add(history.Op{Org: "o1", Invoked: 23 * ms, Returned: 25 * ms, Sync: &history.Sync{Mode: history.FullRefresh, Key: "k7", SyncID: "s7", Index: 13,
		Writes: []history.Write{write("a", "z", 6)}, Details: history.Details{Created: 1, Removed: 1}}})
	add(history.Op{Org: "o2", Invoked: 23 * ms, Returned: 26 * ms, Sync: &history.Sync{Mode: history.Incremental, Key: "k7", SyncID: "s8", Index: 14,
		Writes: []history.Write{write("a", "x", 7)}, Details: history.Details{Created: 1}}})
	add(history.Op{Org: "o1", Invoked: 27 * ms, Returned: 28 * ms, Read: &history.Read{Namespace: "a", Linearizable: true, Index: 14,
		Records: []history.Record{record("z", 6, 13)}}})
	// 10: refused
	add(history.Op{Org: "o1", Invoked: 29 * ms, Returned: 30 * ms, Outcome: history.Fail, Code: "NO_LEADER", Sync: &history.Sync{Mode: history.Incremental, Key: "k10",
		Writes: []history.Write{write("a", "w", 8)}}})
	change := func(namespace, id string, value int64, index uint64) history.Change {
		return history.Change{Namespace: namespace, Record: record(id, value, index), Deleted: value == 0}
	}
	h.Followings = []history.Following{
		{Node: "n1", Org: "o1", Index: 14, Changes: []history.Change{
			change("loose", "p", 4, 12), change("loose", "q", 5, 12), change("a", "z", 6, 13)}},
		{Node: "n1", Org: "o1", After: 10, Index: 14, Changes: []history.Change{
			change("a", "y", 0, 11), change("loose", "p", 4, 12), change("loose", "q", 5, 12), change("a", "x", 0, 13), change("a", "z", 6, 13)}},
		{Node: "n1", Org: "o2", After: 10, Compacted: true}, {Node: "n1", Org: "o2", After: 10, Reconciling: true},
	}
	// 11: of what nobody has written
	add(history.Op{Org: "o1", Invoked: 31 * ms, Returned: 32 * ms, Read: &history.Read{Namespace: "never", Linearizable: true, Missing: true}})
	// 12 to 15: a sync with a key that was just made, one that was sent before the key was
	// revoked and is refused, a read that is refused afterwards, and what there is
	h.Keys = []history.Key{{ID: "k", Org: "o2", Made: 31 * ms, Revoking: 36 * ms, Revoked: 37 * ms, RevokedIndex: 16}}
	add(history.Op{Org: "o2", KeyID: "k", Invoked: 32 * ms, Returned: 33 * ms, Sync: &history.Sync{Mode: history.Incremental, SyncID: "s11", Index: 15,
		Writes: []history.Write{write("k", "x", 9)}, Details: history.Details{Created: 1}}})
	add(history.Op{Org: "o2", KeyID: "k", Invoked: 34 * ms, Returned: 39 * ms, Outcome: history.Fail, Code: invalidKey, Sync: &history.Sync{Mode: history.Incremental,
		Writes: []history.Write{write("k", "x", 10)}}})
	add(history.Op{Org: "o2", KeyID: "k", Invoked: 40 * ms, Returned: 41 * ms, Outcome: history.Fail, Code: invalidKey, Read: &history.Read{Namespace: "k", Linearizable: true}})
	add(history.Op{Org: "o2", Invoked: 42 * ms, Returned: 43 * ms, Read: &history.Read{Namespace: "k", Linearizable: true, Index: 16,
		Records: []history.Record{record("x", 9, 15)}}})
	return h
}

func TestASoundHistoryPasses(t *testing.T) {
	for _, r := range All(sound()) {
		if !r.OK() {
			t.Errorf("%s: %+v", r.Name, r.Anomalies)
		}
		if len(r.Figures) == 0 {
			t.Errorf("%s has looked at nothing", r.Name)
		}
	}
}

// Each of these breaks one promise, and the checker of that has to say so.
func TestWhatHasToBeFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		check  func(*history.History) *Report
		change func(*history.History)
		want   string
	}{
		{"a stale read that no index gives away", Linearizable, func(h *history.History) {
			h.Ops[3].Read.Records = []history.Record{record("x", 1, 10), record("y", 2, 10)}
		}, "from operation 3 on"},
		{"a namespace that is gone", Linearizable, func(h *history.History) {
			h.Ops[9].Read = &history.Read{Namespace: "a", Linearizable: true, Missing: true}
		}, "from operation 9 on"},
		{"half a batch", Linearizable, func(h *history.History) {
			h.Ops[3].Read.Records = []history.Record{record("x", 3, 11), record("y", 2, 10)}
		}, "from operation 3 on"},
		{"a sync of unknown outcome that comes and goes", Linearizable, func(h *history.History) {
			again := h.Ops[6]
			again.Invoked, again.Returned = 31*ms, 32*ms
			again.Read = &history.Read{Namespace: "loose", Linearizable: true, Index: 15}
			h.Ops = append(h.Ops, again)
		}, "no order explains the"},
		{"a lost acknowledgement", Contents, func(h *history.History) {
			h.Ops[9].Read.Records = nil
		}, "it should be [{z 6 13}]"},
		{"a torn read", Contents, func(h *history.History) {
			h.Ops[4].Read.Records = h.Ops[4].Read.Records[:1]
		}, "a read through"},
		{"half of a batch of unknown outcome", Contents, func(h *history.History) {
			h.Ops[6].Read.Records = h.Ops[6].Read.Records[:1]
		}, "a read through"},
		{"a refresh half visible", Contents, func(h *history.History) {
			h.Ops[9].Read.Records = append([]history.Record{record("x", 3, 11)}, h.Ops[9].Read.Records...)
		}, "a read through"},
		{"another organization's record", Contents, func(h *history.History) {
			h.Ops[9].Read.Records = append([]history.Record{record("x", 7, 14)}, h.Ops[9].Read.Records...)
		}, "a read through"},
		{"wrong counts", Contents, func(h *history.History) { h.Ops[1].Sync.Details.Removed = 0 }, "and did"},
		{"wrong counts of many", Contents, func(h *history.History) { h.Ops[8].Sync.Writes[0].Count = 3 }, "and did {Created:3"},
		{"one of unknown outcome twice", Contents, func(h *history.History) {
			again := h.Ops[6]
			again.Invoked, again.Returned = 31*ms, 32*ms
			again.Read = &history.Read{Namespace: "loose", Linearizable: true, Index: 20, Records: []history.Record{record("p", 4, 19), record("q", 5, 19)}}
			h.Ops = append(h.Ops, again)
		}, "was applied at index 12 and at 19"},
		{"a read that goes back", RealTime, func(h *history.History) { h.Ops[9].Read.Index = 10 }, "linearizable read of the state at index 10"},
		{"a read that goes back behind a stale one", RealTime, func(h *history.History) {
			h.Ops[4].Read.Index = 12
			again := h.Ops[3]
			again.Invoked, again.Returned = 15*ms+1, 16*ms
			h.Ops = append(h.Ops, again)
		}, "linearizable read of the state at index 11"},
		{"a sync before what was shown", RealTime, func(h *history.History) { h.Ops[7].Sync.Index = 12 }, "sync at index 12 was invoked after index 12"},
		{"a repetition that was applied again", Once, func(h *history.History) {
			h.Ops[2].Sync.Index, h.Ops[2].Sync.SyncID = 12, "s2"
		}, "key k1 was answered with"},
		{"a repetition that was answered as new", Once, func(h *history.History) { h.Ops[2].Sync.Replayed = false }, "as if it were new"},
		{"two batches at one index", Once, func(h *history.History) { h.Ops[8].Sync.Index = 13 }, "two batches are at index 13"},
		{"an acknowledged sync without a trace", Once, func(h *history.History) { h.Commits = h.Commits[1:] }, "is not in the history"},
		{"a sync that nobody sent", Once, func(h *history.History) {
			h.Commits = append(h.Commits, history.Commit{Org: "o1", SyncID: "s99", Index: 99})
		}, "which nobody has sent without an answer"},
		{"a sync that nobody sent there", Once, func(h *history.History) {
			for i := range h.Commits {
				if h.Commits[i].SyncID == "s5" {
					h.Commits[i].Namespaces = []string{"a"}
				}
			}
		}, "which nobody has sent without an answer"},
		{"a sync twice in the history", Once, func(h *history.History) {
			h.Commits = append(h.Commits, history.Commit{Org: "o1", SyncID: "s0", Index: 99})
		}, "s0 twice"},
		{"a sync elsewhere in the history", Once, func(h *history.History) { h.Commits[0].Index = 9 }, "and is at 9"},
		{"a change that isn't told", Changes, func(h *history.History) { h.Followings[0].Changes = h.Followings[0].Changes[:2] }, "it should be [{z 6 13}]"},
		{"a deletion that isn't told", Changes, func(h *history.History) { h.Followings[1].Changes = h.Followings[1].Changes[1:] }, "has [{y 2 10} {z 6 13}]"},
		{"an old change", Changes, func(h *history.History) { h.Followings[0].Changes[2].Record = record("z", 6, 12) }, "has [{z 6 12}]"},
		{"a change elsewhere", Changes, func(h *history.History) { h.Followings[0].Changes[0].Namespace = "b" }, "in o1/b, where nothing was written"},
		{"changes that are forgotten", Changes, func(h *history.History) { h.Followings[0].Compacted = true }, "for somebody who has none yet"},
		{"more than the limit", Limit, func(h *history.History) { h.Limits["o1"] = 2 }, "o1 had 3 syncs within 1m0s"},
		{"a refusal below the limit", Limit, func(h *history.History) { h.Ops[10].Code = rateLimited }, "o1 was refused at 30ms, after 4 syncs"},
		{"a key that isn't known elsewhere", Keys, func(h *history.History) {
			h.Ops[12].Outcome, h.Ops[12].Code = history.Fail, invalidKey
		}, "key k was made by 31ms, and refused"},
		{"a sync behind the revocation of its key", Keys, func(h *history.History) {
			h.Ops[13].Outcome, h.Ops[13].Code, h.Ops[13].Sync.Index = history.OK, "", 17
		}, "key k was revoked at index 16, and a sync with it was applied at 17"},
		{"a sync behind the revocation of its key that nobody was told of", Keys, func(h *history.History) {
			h.Commits = append(h.Commits, history.Commit{Org: "o2", SyncID: "s12", Index: 17, KeyID: "k"})
		}, "the history has s12 with it at 17"},
		{"a read with a key that is revoked", Keys, func(h *history.History) { h.Ops[14].Outcome = history.OK }, "was good for something"},
		{"a sync with a key that may only read", Keys, func(h *history.History) { h.Keys[0].ReadOnly = true }, "which may only read"},
		{"an attempt that succeeds", Attempts, func(h *history.History) { h.Attempts[0].Succeeded = true }, "n1 at 20ms: an attempt to get in succeeded"},
		{"a backup that can't be restored", Backups, func(h *history.History) { h.Backups[0].Problem = "torn" }, "of index 12, can't be restored: torn"},
		{"a crash that leaves nothing", Crashes, func(h *history.History) { h.Crashes[0].Applied = 0 }, "is that of index 0; its log begins behind 9"},
		{"a crash that leaves what can't be read", Crashes, func(h *history.History) { h.Crashes[0].Problem = "torn" }, "can't be read: torn"},
		{"two leaders in a term", Leaders, func(h *history.History) { h.Leaders[1].Leader = "n2" }, "in term 2"},
		{"another state", Replicas, func(h *history.History) { h.Finals[2].Hash = "bb" }, "n3 has bb"},
		{"a node that has diverged", Replicas, func(h *history.History) { h.Finals[2] = history.Final{Node: "n3", Diverged: "at index 7"} }, "n3 has diverged"},
		{"a node that says nothing", Replicas, func(h *history.History) { h.Finals = h.Finals[:2] }, "2 of 3 nodes"},
		{"no recovery", Recovery, func(h *history.History) { h.Faults[0].Recovered = 0 }, "kill on [n1]"},
		{"rot that nobody has noticed", Rots, func(h *history.History) { h.Rots[0].Detected = "" }, "bit flipped, log of n1 (entry 7) at 40ms: nobody has noticed"},
		{"a slow recovery", Recovery, func(h *history.History) { h.Faults[0].Recovered = 11 * time.Second }, "kill on [n1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := sound()
			c.change(h)
			r := c.check(h)
			if r.OK() || !strings.Contains(fmt.Sprint(r.Anomalies), c.want) {
				t.Errorf("found %+v, want %q", r.Anomalies, c.want)
			}
		})
	}
}

// stampedHistory has a delete, a late upsert of before that, one of after it, the same
// again later, and a late one of in between. Only the delete's and the second one count.
func stampedHistory() *history.History {
	h := &history.History{Nodes: 3}
	sync := func(timestamp, value int64, did history.Details) {
		at := time.Duration(len(h.Ops)) * 10 * ms
		h.Ops = append(h.Ops, history.Op{ID: len(h.Ops), Client: 1, Org: "o", Outcome: history.OK, Invoked: at, Returned: at + ms,
			Sync: &history.Sync{Mode: history.Incremental, SyncID: fmt.Sprint(len(h.Ops)), Index: uint64(len(h.Ops) + 1), Timestamp: timestamp,
				Writes: []history.Write{write("t", "x", value)}, Details: did}})
	}
	read := func(records ...history.Record) {
		at := time.Duration(len(h.Ops)) * 10 * ms
		h.Ops = append(h.Ops, history.Op{ID: len(h.Ops), Client: 1, Org: "o", Outcome: history.OK, Invoked: at, Returned: at + ms,
			Read: &history.Read{Namespace: "t", Linearizable: true, Index: uint64(len(h.Ops)), Records: records}})
	}
	sync(1000, 0, history.Details{Unchanged: 1})
	sync(900, 1, history.Details{})
	read()
	sync(1100, 2, history.Details{Created: 1})
	sync(1300, 2, history.Details{Unchanged: 1})
	sync(1200, 3, history.Details{})
	read(record("x", 2, 4))
	return h
}

func TestTimestampsDecide(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*history.History)
		broken bool
	}{
		{"as it should be", func(*history.History) {}, false},
		{"a tombstone that is forgotten", func(h *history.History) { h.Ops[2].Read.Records = []history.Record{record("x", 1, 2)} }, true},
		{"an unchanged record whose timestamp is forgotten", func(h *history.History) { h.Ops[6].Read.Records = []history.Record{record("x", 3, 6)} }, true},
	} {
		h := stampedHistory()
		c.change(h)
		for _, check := range []func(*history.History) *Report{Contents, Linearizable} {
			if r := check(h); r.OK() == c.broken {
				t.Errorf("%s: %s has found %+v", c.name, r.Name, r.Anomalies)
			}
		}
	}
}

// A value that is written again was shown before, of which the second sync knows nothing.
func TestAValueIsWrittenAgain(t *testing.T) {
	h := &history.History{}
	for _, op := range []history.Op{
		{Invoked: 0, Returned: 1 * ms, Sync: &history.Sync{Writes: []history.Write{write("a", "x", 1)}}},
		{Invoked: 2 * ms, Returned: 3 * ms, Read: &history.Read{Namespace: "a", Linearizable: true, Records: []history.Record{record("x", 1, 1)}}},
		{Invoked: 4 * ms, Returned: 5 * ms, Sync: &history.Sync{Writes: []history.Write{write("a", "y", 2)}}},
		{Invoked: 6 * ms, Returned: 7 * ms, Sync: &history.Sync{Writes: []history.Write{write("a", "x", 1), write("a", "y", 3)}}},
		{Invoked: 8 * ms, Returned: 9 * ms, Read: &history.Read{Namespace: "a", Linearizable: true,
			Records: []history.Record{record("x", 1, 1), record("y", 3, 4)}}},
	} {
		op.ID, op.Client, op.Outcome = len(h.Ops), len(h.Ops), history.OK
		h.Ops = append(h.Ops, op)
	}
	if r := Linearizable(h); !r.OK() {
		t.Errorf("%+v", r.Anomalies)
	}
}

// A refusal counts what may be in the window, and what is further back by as long as the
// cluster's time may have stood still.
func TestAWindowWithoutALeader(t *testing.T) {
	used := func(quiet span) *history.History {
		h := &history.History{Window: time.Minute, Limits: map[string]int{"o": 2, "other": 1000}}
		at := func(org string, from time.Duration, outcome history.Outcome, code string) {
			h.Ops = append(h.Ops, history.Op{ID: len(h.Ops), Org: org, Invoked: from, Returned: from + ms, Outcome: outcome, Code: code,
				Sync: &history.Sync{Mode: history.Incremental}})
		}
		at("o", 0, history.OK, "")
		at("o", time.Second, history.OK, "")
		at("o", 63*time.Second, history.Fail, rateLimited)
		for i := range 130 {
			if from := time.Duration(i) * time.Second / 2; from < quiet.from || from > quiet.to {
				at("other", from, history.OK, "")
			}
		}
		return h
	}
	if r := Limit(used(span{})); r.OK() {
		t.Error("a refusal after the window isn't found")
	}
	quiet := used(span{10 * time.Second, 14 * time.Second})
	if r := Limit(quiet); !r.OK() {
		t.Errorf("with 4 s in which nothing was acknowledged: %+v", r.Anomalies)
	}
	terms := used(span{})
	terms.Leaders = []history.Leader{{Node: "n", Term: 3, Leader: "n", Seen: 20 * time.Second}, {Node: "n", Term: 4, Leader: "m", Seen: 21 * time.Second}}
	if r := Limit(terms); !r.OK() {
		t.Errorf("with two changes of the leader: %+v", r.Anomalies)
	}
}

// A failover counts where an organization has used up its limit before it and after it.
func TestFailoversWithinWindows(t *testing.T) {
	h := &history.History{Window: time.Minute, Limits: map[string]int{"o": 2}, Leaders: []history.Leader{
		{Node: "n2", Term: 3, Leader: "n2", Seen: 12 * time.Second}, {Node: "n1", Term: 3, Leader: "n2", Seen: 11 * time.Second},
		{Node: "n1", Term: 2, Leader: "n1", Seen: time.Second}, {Node: "n1", Term: 4, Leader: "n2", Seen: 20 * time.Second},
		{Node: "n1", Term: 5, Leader: "n3", Seen: 200 * time.Second},
	}}
	for _, at := range []time.Duration{10 * time.Second, 30 * time.Second, 190 * time.Second} {
		h.Ops = append(h.Ops, history.Op{ID: len(h.Ops), Org: "o", Invoked: at, Returned: at + ms, Outcome: history.OK, Sync: &history.Sync{Mode: history.Incremental}})
	}
	const figure = "failovers within windows that were used up"
	if r := Limit(h); r.Figures[figure] != 1 {
		t.Errorf("counted %d, want that from n1 to n2 alone: to n3 leads one of an organization that has sent one sync", r.Figures[figure])
	}
	h.Limits["o"] = 3
	if r := Limit(h); r.Figures[figure] != 0 {
		t.Errorf("counted %d where no window was used up", r.Figures[figure])
	}
}

func TestAnomaliesAreBounded(t *testing.T) {
	r := newReport("many")
	for i := range maxAnomalies + 5 {
		r.found(nil, "anomaly %d", i)
	}
	if len(r.Anomalies) != maxAnomalies || r.Untold != 5 {
		t.Errorf("%d told, %d not", len(r.Anomalies), r.Untold)
	}
}
