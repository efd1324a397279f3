package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// deliveries counts, for each peer, the answers to what Raft's goroutine for it has
// sent, heartbeats apart, which have a goroutine of their own. A count that grows
// shows that the goroutine doesn't hang.
type deliveries struct {
	mu      sync.Mutex
	answers map[raft.ServerID]uint64
	changed chan struct{} // closed at the next answer
}

func newDeliveries() *deliveries {
	return &deliveries{answers: make(map[raft.ServerID]uint64), changed: make(chan struct{})}
}

func (d *deliveries) note(peer raft.ServerID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[peer]++
	close(d.changed)
	d.changed = make(chan struct{})
}

// now returns the counts of peers and a channel that is closed when one grows.
func (d *deliveries) now(peers []raft.ServerID) (answers []uint64, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, peer := range peers {
		answers = append(answers, d.answers[peer])
	}
	return answers, d.changed
}

// await returns the first of the peers that answers anew, so many times.
func (d *deliveries) await(ctx context.Context, peers []raft.ServerID, times uint64, patience time.Duration) (raft.ServerID, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	before, changed := d.now(peers)
	for {
		select {
		case <-changed:
		case <-timer.C:
			return "", fmt.Errorf("no answer from %s in %s: %w", peers, patience, ErrTransferFailed)
		case <-ctx.Done():
			return "", fmt.Errorf("awaiting an answer from %s: %w: %w", peers, ErrTransferFailed, context.Cause(ctx))
		}
		var answers []uint64
		answers, changed = d.now(peers)
		for i, peer := range peers {
			if answers[i] >= before[i]+times {
				return peer, nil
			}
		}
	}
}

// isHeartbeat tells it from what brings a peer entries, or the commit index.
func isHeartbeat(args *raft.AppendEntriesRequest) bool {
	return args.PrevLogEntry == 0 && len(args.Entries) == 0
}
