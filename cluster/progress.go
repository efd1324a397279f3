package cluster

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
)

// progress is the state machine that Raft sees: it notes how far in the log the
// real one has come. The real one's Applied can't tell, because it doesn't count
// the entries that it fences.
type progress struct {
	StateMachine
	meters *meters
	end    *snapshotEnd

	mu      sync.Mutex
	reached uint64        // every command up to here has been applied or fenced
	changed chan struct{} // closed when reached grows

	restores int // since the start

	starting  bool  // Raft is
	restoring error // why the newest snapshot could not be restored meanwhile
}

func newProgress(sm StateMachine, m *meters, end *snapshotEnd) *progress {
	return &progress{StateMachine: sm, meters: m, end: end, changed: make(chan struct{}), starting: true}
}

// Restore implements raft.FSM. Where Raft can't restore the newest snapshot when
// it starts, it tries older ones, and would go on with a log that begins behind
// the newest: they fail too, and the start with them.
func (p *progress) Restore(snapshot io.ReadCloser) error {
	p.mu.Lock()
	err := p.restoring
	p.mu.Unlock()
	if err != nil {
		return err
	}
	if err = p.end.cut(); err == nil {
		err = p.StateMachine.Restore(snapshot)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.starting {
		p.restoring = err
	}
	if err == nil {
		p.meters.restores.Inc()
		p.restores++
		close(p.changed)
		p.changed = make(chan struct{})
	}
	return err
}

// started returns why the state could not be restored, or nil.
func (p *progress) started() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starting = false
	return p.restoring
}

// Apply implements raft.FSM.
func (p *progress) Apply(l *raft.Log) any {
	began := time.Now()
	response := p.StateMachine.Apply(l)
	p.meters.applied(began, response)
	p.reach(l.Index)
	return response
}

// reach notes that every command up to index has been through Apply.
func (p *progress) reach(index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if index <= p.reached {
		return
	}
	p.reached = index
	close(p.changed)
	p.changed = make(chan struct{})
}

// position is now with the number of restores, whose entries are never reached.
func (p *progress) position() (reached uint64, restores int, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reached, p.restores, p.changed
}

func (p *progress) now() (reached uint64, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reached, p.changed
}

// fencedPatience is how long a read waits for the leader to find out whether the
// last command committed is fenced.
const fencedPatience = 250 * time.Millisecond

// committed returns an index such that a state machine which has applied it has
// come through all that is committed at the time of the call. It is for a leader
// that is ready: what lay in its log before the first Barrier of its term has then
// been reached.
//
// That is the last command committed. Should it turn out to be fenced, nobody would
// ever have applied it, so it is waited for here; but not for long, for where the
// state machine is that far behind, more commands follow it.
func (c *core) committed(ctx context.Context) (uint64, error) {
	if planted.Is(planted.OwnIndex) {
		return c.progress.Applied(), nil
	}
	index := c.raft.CommitIndex()
	reached, changed := c.progress.now()
	// Raft's own entries never reach a state machine.
	for ; index > reached; index-- {
		var entry raft.Log
		if err := c.store.log.GetLog(index, &entry); err != nil {
			return 0, fmt.Errorf("reading entry %d: %w: %w", index, errNotLeader, err)
		}
		if entry.Type == raft.LogCommand {
			break
		}
	}
	patience := time.NewTimer(fencedPatience)
	defer patience.Stop()
	for index > reached {
		select {
		case <-changed:
			reached, changed = c.progress.now()
		case <-patience.C:
			return index, nil
		case <-ctx.Done():
			return 0, fmt.Errorf("awaiting entry %d: %w", index, errLeaderBusy)
		}
	}
	return c.progress.Applied(), nil
}
