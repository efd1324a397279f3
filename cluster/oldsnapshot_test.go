package cluster

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

// A snapshot comes late: the follower has applied more by then, taken a snapshot of its
// own, and no longer has the entries in between. Its state stays, and it goes on.
func TestASnapshotThatComesLate(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	leader := leaderOf(t, all)
	follower := followerOf(all, leader)
	want := []string{}
	propose := func(n int) {
		for range n {
			body := fmt.Sprint(len(want))
			leader.mustPropose(body)
			want = append(want, body)
		}
	}
	reads := func(what string) {
		t.Helper()
		if got := follower.read(); !slices.Equal(got, want) {
			t.Fatalf("%s, the follower reads %q, want %q", what, got, want)
		}
	}
	propose(10)
	leader.cutLog()
	late := *leader.newestSnapshot()
	propose(30)
	reads("before the snapshot")
	follower.cutLog()
	restored := follower.sm.restored()

	from, err := leader.running()
	if err != nil {
		t.Fatal(err)
	}
	to, err := follower.running()
	if err != nil {
		t.Fatal(err)
	}
	id := raft.ServerID(follower.name())
	target := meant(id, to.transport.LocalAddr())
	_, stream, err := leader.sm.Snapshots().Open(late.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(leader.name()), Addr: []byte(from.transport.LocalAddr())}
	var installed raft.InstallSnapshotResponse
	err = from.transport.InstallSnapshot(id, target, &raft.InstallSnapshotRequest{
		RPCHeader: header, SnapshotVersion: late.Version, Term: from.raft.CurrentTerm(), LastLogIndex: late.Index, LastLogTerm: late.Term,
		Configuration: raft.EncodeConfiguration(late.Configuration), ConfigurationIndex: late.ConfigurationIndex, Size: late.Size,
	}, &installed, stream)
	if err != nil || !installed.Success {
		t.Fatalf("the answer to the snapshot is %+v, %v", installed, err)
	}
	reads("after the snapshot")
	if got := follower.sm.restored(); got != restored {
		t.Errorf("it was restored %d times", got-restored)
	}

	// The leader goes on behind that snapshot.
	var entries []*raft.Log
	for index := late.Index + 1; index <= late.Index+20; index++ {
		var e raft.Log
		if err := from.store.log.GetLog(index, &e); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, &e)
	}
	var appended raft.AppendEntriesResponse
	err = from.transport.AppendEntries(id, target, &raft.AppendEntriesRequest{
		RPCHeader: header, Term: from.raft.CurrentTerm(), PrevLogEntry: late.Index, PrevLogTerm: late.Term, Entries: entries,
	}, &appended)
	if err != nil || !appended.Success {
		t.Errorf("the answer to the entries behind the snapshot is %+v, %v", appended, err)
	}
	propose(3)
	reads("in the end")
}
