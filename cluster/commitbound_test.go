package cluster

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

// A follower commits no further than what the request shows to be the leader's,
// even if it has more entries, and even if the leader has committed as many:
// those may be others, of a term that is over.
func TestNothingBeyondTheRequestIsCommitted(t *testing.T) {
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	follower := followerOf(all, leader)
	leader.mustPropose("common")
	follower.read()
	from, _ := leader.running()
	to, _ := follower.running()
	transport := &numberedTransport{NetworkTransport: from.transport, answers: newAnswers(), deliveries: newDeliveries(), followers: newReplication()}
	last := raft.Log{}
	if err := to.store.log.GetLog(to.raft.LastIndex(), &last); err != nil {
		t.Fatal(err)
	}
	entry := func(n, term uint64, body string) *raft.Log {
		return &raft.Log{Index: last.Index + n, Term: term, Type: raft.LogCommand, Data: []byte(body),
			Extensions: binary.BigEndian.AppendUint64(nil, term)}
	}
	send := func(term, commit uint64, entries ...*raft.Log) {
		t.Helper()
		var resp raft.AppendEntriesResponse
		err := transport.AppendEntries(to.self, raft.ServerAddress(follower.ports.peerAdvertise), &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from.self), Addr: []byte(leader.ports.peerAdvertise)},
			Term:      term, PrevLogEntry: last.Index, PrevLogTerm: last.Term, Entries: entries, LeaderCommitIndex: commit,
		}, &resp)
		if err != nil || !resp.Success {
			t.Fatalf("appending in term %d: %+v, %v", term, resp, err)
		}
	}
	const old, now = 100, 101
	shared := entry(1, old, "shared")
	send(old, last.Index, shared, entry(2, old, "never committed"))
	// The next leader has "shared" and another entry behind it, both committed. Its
	// request is cut after the first.
	send(now, last.Index+2, shared)
	want := []string{"common", "shared"}
	eventually(t, "the shared entry to be applied", func() bool { return len(follower.sm.bodies()) >= len(want) })
	if got := to.raft.CommitIndex(); got != last.Index+1 {
		t.Errorf("the follower has committed up to %d, the request showed no more than %d", got, last.Index+1)
	}
	if got := follower.sm.bodies(); !slices.Equal(got, want) {
		t.Errorf("the follower has applied %q", got)
	}
}
