package cluster

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// BenchmarkIdleGroups is what Raft groups of three members cost that have nothing to do, all members in
// this process, with logs in memory: goroutines and memory of a member, requests and processor
// time of a group. It has one figure for each number of groups, however long it runs:
//
//	go test ./cluster -run '^$' -bench IdleGroups -benchtime 1x
func BenchmarkIdleGroups(b *testing.B) {
	for _, network := range []string{"memory", "tcp"} {
		for _, groups := range []int{1, 10, 100, 1000} {
			if network == "tcp" && groups > 100 {
				continue // these have buffers of more than 2 GiB
			}
			b.Run(fmt.Sprintf("%s/groups=%d", network, groups), func(b *testing.B) {
				for b.Loop() {
					measureIdleGroups(b, network, groups)
				}
			})
		}
	}
}

const (
	groupMembers = 3
	idleSettles  = 5 * time.Second
	idleFor      = 10 * time.Second
)

func measureIdleGroups(b *testing.B, network string, groups int) {
	var requests atomic.Int64
	before := readProcess(b)
	var members []*raft.Raft
	for g := range groups {
		members = append(members, startGroup(b, network, g, &requests)...)
	}
	defer func() {
		for _, r := range members {
			if err := r.Shutdown().Error(); err != nil {
				b.Error(err)
			}
		}
	}()
	for g := range groups {
		awaitGroup(b, members[g*groupMembers:][:groupMembers])
	}
	time.Sleep(idleSettles)
	idle, sent := readProcess(b), requests.Load()
	time.Sleep(idleFor)
	after := readProcess(b)
	n := float64(groups)
	b.ReportMetric(float64(idle.goroutines-before.goroutines)/n/groupMembers, "goroutines/member")
	b.ReportMetric(float64(idle.memory-before.memory)/n/groupMembers/(1<<10), "KiB/member")
	b.ReportMetric(float64(requests.Load()-sent)/n/idleFor.Seconds(), "requests/s/group")
	b.ReportMetric(float64((after.processor-idle.processor).Microseconds())/n/idleFor.Seconds(), "cpu-µs/s/group")
	b.ReportMetric(0, "ns/op")
}

// process is what this process uses.
type process struct {
	goroutines int
	memory     int64 // bytes of the heap that are in use, and of stacks
	processor  time.Duration
}

func readProcess(b *testing.B) process {
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return process{
		goroutines: runtime.NumGoroutine(),
		memory:     int64(mem.HeapAlloc + mem.StackInuse),
		processor:  time.Duration(used.Utime.Nano() + used.Stime.Nano()),
	}
}

// startGroup starts the members of one group.
func startGroup(b *testing.B, network string, group int, requests *atomic.Int64) []*raft.Raft {
	transports := openTransports(b, network)
	var servers []raft.Server
	for m, t := range transports {
		servers = append(servers, raft.Server{ID: raft.ServerID(fmt.Sprintf("g%d-n%d", group, m)), Address: t.LocalAddr()})
	}
	var members []*raft.Raft
	for m, t := range transports {
		rc, store := raft.DefaultConfig(), raft.NewInmemStore()
		rc.LocalID, rc.Logger, rc.NoLegacyTelemetry = servers[m].ID, hclog.NewNullLogger(), true
		snapshots, counted := raft.NewInmemSnapshotStore(), &countedTransport{t, requests}
		if err := raft.BootstrapCluster(rc, store, store, snapshots, counted, raft.Configuration{Servers: servers}); err != nil {
			b.Fatal(err)
		}
		r, err := raft.NewRaft(rc, idleMachine{}, store, store, snapshots, counted)
		if err != nil {
			b.Fatal(err)
		}
		members = append(members, r)
	}
	return members
}

func openTransports(b *testing.B, network string) (transports []raft.Transport) {
	if network == "tcp" {
		for range groupMembers {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			t := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
				Stream: tcpLayer{listener}, MaxPool: raftPooledConns, Timeout: raftIOTimeout, Logger: hclog.NewNullLogger(),
			})
			b.Cleanup(func() {
				_ = t.Close()
				t.CloseStreams()
			})
			transports = append(transports, t)
		}
		return transports
	}
	var memory []*raft.InmemTransport
	for range groupMembers {
		_, t := raft.NewInmemTransport("")
		for _, other := range memory {
			t.Connect(other.LocalAddr(), other)
			other.Connect(t.LocalAddr(), t)
		}
		memory = append(memory, t)
		transports = append(transports, t)
	}
	return transports
}

// awaitGroup returns when a leader has committed an entry of its term.
func awaitGroup(b *testing.B, members []*raft.Raft) {
	for range 600 {
		for _, r := range members {
			if r.State() == raft.Leader && r.Barrier(time.Second).Error() == nil {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.Fatal("a group has no leader after a minute")
}

type tcpLayer struct{ net.Listener }

func (l tcpLayer) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(to), timeout)
}

// countedTransport counts the AppendEntries that it sends.
type countedTransport struct {
	raft.Transport
	requests *atomic.Int64
}

func (t *countedTransport) AppendEntries(id raft.ServerID, to raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	t.requests.Add(1)
	return t.Transport.AppendEntries(id, to, args, resp)
}

func (t *countedTransport) AppendEntriesPipeline(id raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.Transport.AppendEntriesPipeline(id, to)
	return &countedPipeline{p, t.requests}, err
}

type countedPipeline struct {
	raft.AppendPipeline
	requests *atomic.Int64
}

func (p *countedPipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	p.requests.Add(1)
	return p.AppendPipeline.AppendEntries(args, resp)
}

// idleMachine has no state.
type idleMachine struct{}

func (idleMachine) Apply(*raft.Log) any                  { return nil }
func (idleMachine) Snapshot() (raft.FSMSnapshot, error)  { return nil, raft.ErrNothingNewToSnapshot }
func (idleMachine) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }
