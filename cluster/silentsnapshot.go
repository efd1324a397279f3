package cluster

import (
	"io"
	"time"
)

// maxSnapshotSilence is how long a leader may send nothing of a snapshot that it has begun
// to send. Raft receives one on the goroutine that votes, and waits for it without a limit:
// where the leader is cut off or hangs meanwhile, this node would take part in no election.
const maxSnapshotSilence = 5 * time.Second

// snapshotStream is a snapshot on its way. After a silence it has all of Raft's
// connections to this node closed, and so ends: it doesn't know its own. Those whose other
// side is there are made again.
type snapshotStream struct {
	io.Reader
	hangUp func()
}

func (s snapshotStream) Read(p []byte) (int, error) {
	silence := time.AfterFunc(maxSnapshotSilence, s.hangUp)
	defer silence.Stop()
	return s.Reader.Read(p)
}
