package cluster

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// After each piece of a snapshot for a node that doesn't vote, which no quorum waits for,
	// its sender pauses for so many times what the piece took to read and to hand on: a
	// machine that is quick or idle is soon through, and a busy one keeps most of its time
	// for the syncs that go on (ADR 30).
	snapshotPauses     = 8
	snapshotPieceBytes = 256 << 10
	// But it pauses no longer than this, so that 16 MiB go in a second of pauses,
	maxSnapshotPause = 16 * time.Millisecond
	// and not so long for all of the snapshot that the log behind it is cut by then, and the
	// next has to be sent.
	maxSnapshotPauses time.Duration = trailingTime / 2
)

// snapshotSending is how this node sends snapshots. One that is on its way ends with the
// core: Raft's own end waits for it.
type snapshotSending struct {
	running chan struct{} // closed once the rest is set
	life    context.Context
	votes   func(raft.ServerID) bool
}

func newSnapshotSending() *snapshotSending { return &snapshotSending{running: make(chan struct{})} }

// run lets snapshots go out until life ends.
func (s *snapshotSending) run(life context.Context, votes func(raft.ServerID) bool) {
	s.life, s.votes = life, votes
	close(s.running)
}

// to gives the stream of a snapshot the pace at which it goes to a member. One that votes
// gets it as fast as it goes: until it has it, it neither votes nor acknowledges anything,
// and the next failure may leave the cluster without a quorum.
func (s *snapshotSending) to(id raft.ServerID, snapshot io.Reader, sizeBytes int64) *pacedSnapshot {
	<-s.running
	paced := &pacedSnapshot{from: snapshot, life: s.life, sizeBytes: sizeBytes}
	if !s.votes(id) {
		paced.pauses = snapshotPauses
	}
	return paced
}

// votes says whether a member does, as far as this node knows.
func (c *core) votes(id raft.ServerID) bool {
	s, ok := c.server(id)
	return ok && s.Suffrage == raft.Voter
}

// pacedSnapshot is the stream of a snapshot that is sent. It is for one goroutine.
type pacedSnapshot struct {
	from      io.Reader
	life      context.Context
	sizeBytes int64 // of all of it
	pauses    time.Duration

	began      time.Time // of the piece that is being sent
	pieceBytes int64     // of it that are read
}

// Read pauses before it begins with a piece, when the one before is on its way.
func (p *pacedSnapshot) Read(b []byte) (int, error) {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	if p.pieceBytes >= snapshotPieceBytes {
		if err := p.pause(); err != nil {
			return 0, err
		}
	}
	n, err := p.from.Read(b)
	p.pieceBytes += int64(n)
	return n, err
}

func (p *pacedSnapshot) pause() error {
	share := time.Duration(p.pieceBytes) * maxSnapshotPauses / time.Duration(max(p.sizeBytes, p.pieceBytes))
	over := time.NewTimer(min(p.pauses*time.Since(p.began), maxSnapshotPause, share))
	defer over.Stop()
	select {
	case <-over.C:
	case <-p.life.Done():
	}
	if p.life.Err() != nil {
		return ErrStopped
	}
	p.began, p.pieceBytes = time.Now(), 0
	return nil
}
