package cluster

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// cutLog takes a snapshot and leaves one entry of log behind it.
func (m *member) cutLog() {
	m.t.Helper()
	c, err := m.running()
	if err != nil {
		m.t.Fatal(err)
	}
	reload := c.raft.ReloadableConfig()
	reload.TrailingLogs = 1
	if err := c.raft.ReloadConfig(reload); err != nil {
		m.t.Fatal(err)
	}
	if err := c.raft.Snapshot().Error(); err != nil {
		m.t.Fatal(err)
	}
}

func TestSnapshotBringsBackOneThatWasAway(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	leader := leaderOf(t, all)
	away := followerOf(all, leader)
	leader.mustPropose("0")
	away.read()
	away.stop()
	want := []string{"0"}
	for i := range 40 {
		body := fmt.Sprint(i + 1)
		leader.mustPropose(body)
		want = append(want, body)
	}
	for _, m := range without(all, away) {
		m.read()
		m.cutLog()
	}
	away.gate = &testGate{}
	away.start()
	if got := away.read(); !slices.Equal(got, want) {
		t.Fatalf("after the snapshot: %q", got)
	}
	if away.sm.restored() == 0 {
		t.Error("no snapshot was installed: the test proves nothing")
	}
	// A newcomer starts from the snapshot too.
	fresh := newMember(t, "n9", patient)
	if err := fresh.Join(fresh.ctx(), away.ports.peerAdvertise, testToken, false); err != nil {
		t.Fatal(err)
	}
	if got := fresh.read(); !slices.Equal(got, want) {
		t.Errorf("the newcomer reads %q", got)
	}
}

// A member that can't restore a snapshot that it has received isn't sent it again and again:
// it ends, and says why, unless its disk is full, which it may not be the next time.
func TestReceivedSnapshotThatCannotBeRestored(t *testing.T) {
	t.Parallel()
	worn := errors.New("the disk is worn out")
	for name, c := range map[string]struct {
		fails error
		fatal bool
	}{
		"the disk fails":   {worn, true},
		"the disk is full": {fmt.Errorf("writing a file: %w", syscall.ENOSPC), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := newCluster(t, 3)
			leader := leaderOf(t, all)
			away := followerOf(all, leader)
			away.read()
			away.stop()
			for i := range 40 {
				leader.mustPropose(fmt.Sprint(i))
			}
			for _, m := range without(all, away) {
				m.read()
				m.cutLog()
			}
			var failed atomic.Int32
			away.sm.failRestore = func() error {
				if failed.Add(1) == 1 {
					return c.fails
				}
				return nil
			}
			fatal := make(chan error, 100)
			away.cfg.Fatal = func(err error) { fatal <- err } // a real one doesn't return
			away.gate = &testGate{}
			away.start()
			if c.fatal {
				eventually(t, "it ends", func() bool { return len(fatal) > 0 })
				if err := <-fatal; !errors.Is(err, worn) || !strings.Contains(err.Error(), startCure) {
					t.Errorf("it ends with: %v", err)
				}
			}
			if got := away.read(); len(got) != 40 || failed.Load() < 2 {
				t.Errorf("after %d attempts it reads %d entries", failed.Load(), len(got))
			}
			if len(fatal) > 0 {
				t.Errorf("it ends: %v", <-fatal)
			}
		})
	}
}

// A state machine that holds what the snapshot holds is not restored at start;
// one that does not is.
func TestRestoreOnStart(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.mustPropose("a")
	m.cutLog()
	m.mustPropose("b")
	restores := 0
	for _, fresh := range []bool{false, true} {
		m.restart(fresh)
		if got := m.read(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("fresh %v: read %q", fresh, got)
		}
		restores += m.sm.restored()
		if want := map[bool]int{false: 0, true: 1}[fresh]; restores != want {
			t.Errorf("fresh %v: %d restores", fresh, restores)
		}
	}
}

func TestTrailingEntries(t *testing.T) {
	for _, c := range []struct {
		bytes, entries int64
		since          time.Duration
		configured     int64
		want           uint64
	}{
		{0, 0, time.Hour, 0, firstTrailingEntries},
		{256 << 20, 256, time.Hour, 0, 256},         // slow: by bytes
		{256 << 20, 256, 5 * time.Minute, 0, 512},   // what comes in ten minutes
		{256 << 20, 256, time.Second, 0, 2048},      // but no more than may be kept
		{256 << 20, 1 << 20, time.Hour, 0, 1 << 20}, // small ones are many
		{500 << 20, 100, time.Hour, 0, minTrailingEntries},
		{256 << 20, 256 << 10, time.Second, 1 << 20, 1024}, // as it was configured
		{256 << 20, 256, time.Second, 1, leastTrailingEntries},
	} {
		if got := trailingEntries(c.bytes, c.entries, c.since, c.configured); got != c.want {
			t.Errorf("%d bytes in %d entries in %s: %d, want %d", c.bytes, c.entries, c.since, got, c.want)
		}
	}
}

func TestAppendEntriesAreBoundedInBytes(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
		want  int
	}{
		{"none", nil, 0},
		{"small", []int{10, 10, 10}, 3},
		{"up to the bound", []int{maxAppendBytes / 2, maxAppendBytes / 2, 1}, 2},
		{"one too large goes alone", []int{maxAppendBytes + 1, 1}, 1},
	} {
		args := &raft.AppendEntriesRequest{}
		for _, n := range c.sizes {
			args.Entries = append(args.Entries, &raft.Log{Data: make([]byte, n)})
		}
		if limitEntries(args); len(args.Entries) != c.want {
			t.Errorf("%s: %d entries", c.name, len(args.Entries))
		}
	}
}

// Entries beyond the bound of one request all arrive.
func TestLargeEntriesReplicate(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	other := followerOf(all, leader)
	other.stop()
	// Without the other there is no quorum; the entries wait in the log.
	done := make(chan error, 6)
	for i := range 6 {
		go func() {
			_, err := leader.Propose(leader.ctx(), append(make([]byte, 3<<20), byte(i)))
			done <- err
		}()
	}
	other.gate = &testGate{}
	other.start()
	for range 6 {
		if err := <-done; err != nil && class(t, err) == "" {
			t.Error(err)
		}
	}
	if len(other.read()) != len(leader.read()) {
		t.Error("the logs differ")
	}
}

// What was logged since the last snapshot counts after a restart as well: a node
// that restarts more often than it fills the measure would never cut its log.
func TestRestartKeepsTheMeasureOfTheLog(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("x", 1000)
	logged := func() int64 {
		c, err := m.running()
		if err != nil {
			t.Fatal(err)
		}
		return c.store.metered.bytes.Load()
	}
	m.mustPropose(body)
	m.cutLog()
	m.mustPropose(body)
	m.mustPropose(body)
	m.restart(false)
	if got := logged(); got < 2000 || got >= 3000 {
		t.Errorf("after a restart %d bytes count as logged since the snapshot, two entries have 2000", got)
	}
	m.read()
	if got := logged(); got < 2000 || got >= 3000 {
		t.Errorf("after the replay %d bytes count as logged since the snapshot", got)
	}
}

// A node that joins is sent what has come of the log, and not the log, once that has grown.
func TestJoinerIsSentASnapshot(t *testing.T) {
	t.Parallel()
	leader := newMember(t, "n1", patient, func(c *Config) { c.SnapshotBytes = 64 << 10 })
	leader.bootstrap()
	const entries = 20
	body := strings.Repeat("x", 64<<10/joinersShare/entries+1)
	for range entries {
		leader.mustPropose(body)
	}
	joiner := newMember(t, "n2", patient)
	if err := joiner.Join(joiner.ctx(), leader.ports.peerAdvertise, testToken, false); err != nil {
		t.Fatal(err)
	}
	if got := joiner.read(); len(got) != entries {
		t.Errorf("it has %d entries, want %d", len(got), entries)
	}
	if joiner.sm.restored() != 1 {
		t.Errorf("it has restored %d snapshots, want 1", joiner.sm.restored())
	}
}

// halted gives a little, and then nothing until it is closed.
type halted struct {
	begun bool
	end   chan struct{}
}

func (h *halted) Read(p []byte) (int, error) {
	if h.begun {
		<-h.end
		return 0, io.ErrUnexpectedEOF
	}
	h.begun = true
	return min(len(p), 1000), nil
}

// A leader that hangs in the middle of a snapshot keeps nobody from the log, nor from
// elections, for long.
func TestSilentSnapshotIsGivenUp(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 3)
	leader := leaderOf(t, all)
	follower := followerOf(all, leader)
	leader.mustPropose("before")
	follower.read()
	c, err := leader.running()
	if err != nil {
		t.Fatal(err)
	}
	req := &raft.InstallSnapshotRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(leader.name()), Addr: []byte(leader.ports.peerAdvertise)},
		Term:      leader.Status().Term, LastLogIndex: 1 << 40, LastLogTerm: leader.Status().Term, Size: 1 << 20, SnapshotVersion: raft.SnapshotVersionMax,
		Configuration: raft.EncodeConfiguration(raft.Configuration{Servers: c.servers()}),
	}
	snapshot := &halted{end: make(chan struct{})}
	sent := make(chan error, 1)
	go func() {
		id := raft.ServerID(follower.name())
		sent <- c.transport.InstallSnapshot(id, meant(id, raft.ServerAddress(follower.ports.peerAdvertise)), req, new(raft.InstallSnapshotResponse), snapshot)
	}()
	defer func() {
		close(snapshot.end)
		if err := <-sent; err == nil {
			t.Error("the snapshot was taken for a whole one")
		}
	}()
	eventually(t, "it takes the snapshot", func() bool {
		begun, err := filepath.Glob(filepath.Join(follower.stateDir(), "snapshots", "*.tmp"))
		return err == nil && len(begun) > 0
	})
	leader.mustPropose("meanwhile")
	if got := follower.read(); len(got) != 2 {
		t.Errorf("it reads %q", got)
	}
}
