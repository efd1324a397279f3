package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
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
	fatal  func(error)

	mu      sync.Mutex
	reached uint64        // every command up to here has been applied or fenced
	changed chan struct{} // closed when reached grows

	restores int // since the start

	starting  bool  // Raft is
	restoring error // why the newest snapshot could not be restored meanwhile
}

func newProgress(sm StateMachine, m *meters, end *snapshotEnd, fatal func(error)) *progress {
	return &progress{StateMachine: sm, meters: m, end: end, fatal: fatal, changed: make(chan struct{}), starting: true}
}

// Restore implements raft.FSM. Where Raft can't restore the newest snapshot when
// it starts, it tries older ones, and would go on with a log that begins behind
// the newest: they fail too, and the start with them.
//
// Later it is of one that the leader has sent, and that was whole on the disk a moment ago.
// Where it fails Raft has the leader send all of it again, and again, for as long as the
// disk is as it is. A full disk may have room the next time; any other ends the process.
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
	if p.restored(err) || err == nil || errors.Is(err, syscall.ENOSPC) {
		return err
	}
	err = fmt.Errorf("restoring a snapshot that was received: %w. Look after the disk, then start this member again; if that doesn't help: "+startCure, err)
	p.fatal(err)
	return err
}

// restored notes what became of a restore, and whether Raft is still starting.
func (p *progress) restored(err error) (starting bool) {
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
	return p.starting
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
