package cluster

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
)

// heldFile is a log file that writes the variables only when it may, once held is
// set.
type heldFile struct {
	LogFile
	held    atomic.Bool
	writing chan struct{} // told of a write that is held
	proceed chan struct{}
	closed  atomic.Bool
}

func (f *heldFile) Set(name, value []byte) error {
	if f.held.Load() && strings.HasPrefix(string(name), "CurrentTerm") {
		f.writing <- struct{}{}
		<-f.proceed
	}
	return f.LogFile.Set(name, value)
}

func (f *heldFile) Close() error {
	f.closed.Store(true)
	return f.LogFile.Close()
}

// newHeldPair is a cluster of two, and the log file of the one that doesn't lead.
func newHeldPair(t *testing.T) (leader, other *member, f *heldFile) {
	t.Helper()
	f = &heldFile{writing: make(chan struct{}, 1), proceed: make(chan struct{})}
	all := newCluster(t, 2, func(c *Config) {
		if c.NodeID == "n2" {
			c.Simulation.OpenLog = func(dir string) (_ LogFile, err error) {
				f.LogFile, err = openBolt(dir)
				return f, err
			}
		}
	})
	return all[0], all[1], f
}

// A heartbeat is handled beside Raft's main loop while the node stops: it may write the term
// down, and the log is closed behind it.
func TestStopWaitsForAHeartbeat(t *testing.T) {
	_, follower, f := newHeldPair(t)
	to, _ := follower.running()
	if !to.heartbeats.begin() {
		t.Fatal("heartbeats are refused before the stop")
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		follower.stop()
	}()
	eventually(t, "the stop to come to the log", func() bool {
		to.heartbeats.mu.Lock()
		defer to.heartbeats.mu.Unlock()
		return to.heartbeats.idle != nil || f.closed.Load()
	})
	if f.closed.Load() {
		t.Error("the log was closed under a heartbeat")
	}
	to.heartbeats.end()
	<-stopped
}

// A leader hears of a newer term, and something is proposed to it right then: that isn't of
// the newer term, whose leader has other entries there.
func TestWhoHearsOfANewTermAppendsNothingOfIt(t *testing.T) {
	all := newCluster(t, 2)
	leader, other := all[0], all[1]
	from, _ := other.running()
	to, _ := leader.running()
	term := to.raft.CurrentTerm()
	var answer raft.AppendEntriesResponse
	err := from.transport.AppendEntries(to.self, meant(to.self, raft.ServerAddress(leader.ports.peerAdvertise)), &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from.self), Addr: []byte(other.ports.peerAdvertise)},
		Term:      term + 1,
	}, &answer)
	if err != nil || answer.Term != term+1 {
		t.Fatalf("answered %+v, %v", answer, err)
	}
	if err := to.raft.ApplyLog(raft.Log{Data: []byte("late")}, 0).Error(); err == nil {
		t.Error("a leader of an earlier term has committed an entry")
	}
	last, err := to.store.log.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; last-- {
		var e raft.Log
		if err := to.store.log.GetLog(last, &e); err != nil || e.Term <= term {
			return
		}
		if e.Term == term+1 {
			t.Errorf("entry %d is of term %d, in which nobody was elected: %s", e.Index, e.Term, e.Data)
		}
	}
}

func TestWhichHeartbeatsPassTheMainLoopBy(t *testing.T) {
	for _, c := range []struct {
		name   string
		state  raft.RaftState
		term   uint64
		beside bool
	}{
		{"of the leader that is followed", raft.Follower, 7, true},
		{"of a newer one", raft.Follower, 8, false},
		{"of an older one", raft.Follower, 6, false},
		{"to a candidate", raft.Candidate, 7, false},
		{"to the leader of an earlier term", raft.Leader, 8, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHeldBack(t)
			h.term.Store(7)
			h.raftState.Store(uint32(c.state))
			<-h.b.began
			beside := make(chan struct{}, 1)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				h.b.heartbeat(raft.RPC{Command: &raft.AppendEntriesRequest{Term: c.term}}, func(raft.RPC) { beside <- struct{}{} })
			}()
			select {
			case <-beside:
				if !c.beside {
					t.Error("it passed the main loop by")
				}
			case <-h.b.to:
				if c.beside {
					t.Error("it went to the main loop")
				}
			}
			<-ended
		})
	}
}

func TestHeartbeatsBeforeAndAfterTheBacklog(t *testing.T) {
	from := make(chan raft.RPC)
	b := newBacklog(from, newProgress(newBytelog(), newMeters(), nil, nil), 100, &heard{}, nil)
	answers := make(chan raft.RPCResponse, 2)
	send := func() { b.heartbeat(raft.RPC{Command: &raft.AppendEntriesRequest{}, RespChan: answers}, nil) }
	go send() // Raft has begun, and this hasn't yet
	ctx, stop := context.WithCancel(t.Context())
	zero := func() uint64 { return 0 }
	go b.run(ctx, zero, zero, zero, func() raft.RaftState { return raft.Leader })
	<-b.to
	stop()
	send()
	if a := <-answers; !errors.Is(a.Error, raft.ErrRaftShutdown) {
		t.Errorf("answered %+v", a)
	}
}
