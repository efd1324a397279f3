package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// slowReader takes so long for each piece.
type slowReader struct {
	io.Reader
	each time.Duration
}

func (r slowReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		time.Sleep(r.each)
	}
	return n, err
}

func TestSnapshotPace(t *testing.T) {
	t.Parallel()
	const pieces = 16
	for name, c := range map[string]struct {
		votes     bool
		sizeBytes int64 // if it isn't that of the pieces
		took      time.Duration
		pause     time.Duration // after each piece
	}{
		"a machine that is quick":       {took: 500 * time.Microsecond, pause: 4 * time.Millisecond},
		"one that is busy":              {took: 20 * time.Millisecond, pause: 16 * time.Millisecond},
		"a snapshot of 75 GB":           {took: time.Millisecond, sizeBytes: 300_000 * snapshotPieceBytes, pause: time.Millisecond},
		"a member whose vote is needed": {took: time.Millisecond, votes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sending := newSnapshotSending()
				sending.run(t.Context(), func(raft.ServerID) bool { return c.votes })
				sent := make([]byte, pieces*snapshotPieceBytes)
				if c.sizeBytes == 0 {
					c.sizeBytes = int64(len(sent))
				}
				began := time.Now()
				paced := sending.to("n1", slowReader{bytes.NewReader(sent), c.took}, c.sizeBytes)
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, paced, make([]byte, snapshotPieceBytes))
				if err != nil || n != int64(len(sent)) {
					t.Fatalf("sent %d bytes: %v", n, err)
				}
				if took, want := time.Since(began), pieces*(c.took+c.pause); took != want {
					t.Errorf("it took %s instead of %s", took, want)
				}
			})
		})
	}
}

// Only who doesn't vote is made to wait; a joiner that has become a voter no longer.
func TestWhoseSnapshotsArePaced(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 2)
	joiner := newMember(t, "n9")
	if err := joiner.Join(joiner.ctx(), all[0].ports.peerAdvertise, testToken, true); err != nil {
		t.Fatal(err)
	}
	leader := leaderOf(t, all)
	c, err := leader.running()
	if err != nil {
		t.Fatal(err)
	}
	for id, paced := range map[raft.ServerID]bool{"n9": true, raft.ServerID(followerOf(all, leader).name()): false, "unknown": true} {
		if got := c.sending.to(id, nil, 0).pauses > 0; got != paced {
			t.Errorf("to %s: paced %v", id, got)
		}
	}
}

// A leader that is stopped waits for no snapshot that it is sending, whoever gets it.
func TestSnapshotsEndWithTheirSender(t *testing.T) {
	t.Parallel()
	all := newCluster(t, 2)
	leader := leaderOf(t, all)
	follower := followerOf(all, leader)
	from, _ := leader.running()
	to, _ := follower.running()
	for _, votes := range []bool{false, true} {
		stopped, stop := context.WithCancel(t.Context())
		stop()
		transport := &numberedTransport{NetworkTransport: from.transport, sending: newSnapshotSending()}
		transport.sending.run(stopped, func(raft.ServerID) bool { return votes })
		snapshot := make([]byte, 4*snapshotPieceBytes)
		err := transport.InstallSnapshot(to.self, raft.ServerAddress(follower.ports.peerAdvertise), &raft.InstallSnapshotRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from.self), Addr: []byte(leader.ports.peerAdvertise)},
			Size:      int64(len(snapshot)),
		}, &raft.InstallSnapshotResponse{}, bytes.NewReader(snapshot))
		if !errors.Is(err, ErrStopped) {
			t.Errorf("votes %v: %v", votes, err)
		}
	}
}
