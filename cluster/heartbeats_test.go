package cluster

import (
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

// A heartbeat of a new leader comes while the node stops: its term is written before
// the log is closed.
func TestStopWaitsForAHeartbeat(t *testing.T) {
	leader, follower, f := newHeldPair(t)
	from, _ := leader.running()
	to, _ := follower.running()
	f.held.Store(true)
	answered := make(chan error, 1)
	go func() {
		answered <- from.transport.AppendEntries(to.self, meant(to.self, raft.ServerAddress(follower.ports.peerAdvertise)), &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from.self), Addr: []byte(leader.ports.peerAdvertise)},
			Term:      100,
		}, new(raft.AppendEntriesResponse))
	}()
	<-f.writing
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
	close(f.proceed)
	<-stopped
	<-answered // by the end of the connection
}
