package cluster

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
)

// rounds lets many readers share one confirmation. A reader joins the round
// that has not begun yet, so that whatever the round confirms was true after
// the reader came. One round runs at a time; at most one is waiting.
type rounds struct {
	// confirm runs one round, for at most the time of limit; readers that have
	// more of it start another.
	limit   time.Duration
	confirm func(ctx context.Context) (readPoint, error)

	mu      sync.Mutex
	waiting *round
	running bool
	closed  bool
	wg      sync.WaitGroup
}

type round struct {
	done  chan struct{}
	point readPoint
	err   error
}

// readPoint is what a round has confirmed: this node led in term when the round
// began, and a state machine that has applied index is then up to date.
type readPoint struct {
	index uint64
	term  uint64
}

// join waits for the next round to begin and end.
func (r *rounds) join(ctx context.Context) (readPoint, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return readPoint{}, ErrStopped
	}
	if r.waiting == nil {
		r.waiting = &round{done: make(chan struct{})}
	}
	mine := r.waiting
	if !r.running {
		r.running = true
		r.wg.Go(r.run)
	}
	r.mu.Unlock()
	select {
	case <-mine.done:
		return mine.point, mine.err
	case <-ctx.Done():
		return readPoint{}, fmt.Errorf("awaiting a read index: %w: %w", ErrNoLeader, context.Cause(ctx))
	}
}

func (r *rounds) run() {
	for {
		r.mu.Lock()
		next := r.waiting
		r.waiting = nil
		if next == nil {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), r.limit)
		next.point, next.err = r.confirm(ctx)
		cancel()
		close(next.done)
	}
}

// close refuses new readers and waits for the rounds that have some.
func (r *rounds) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.wg.Wait()
}

// readIndex is one round on the leader. The index covers all that was committed
// when the round began, not only what the leader's own state machine has applied
// by then: a follower's may be ahead of it, and what that has shown to a reader
// must not be missing afterwards. Raft's own indexes would not do: barriers and
// no-ops never reach a state machine, which would wait for them for ever.
func (c *core) readIndex(ctx context.Context) (readPoint, error) {
	term := c.raft.CurrentTerm()
	if err := c.leadership.await(ctx, term); err != nil {
		return readPoint{}, err
	}
	index, err := c.committed(ctx)
	if err != nil {
		return readPoint{}, err
	}
	if err := c.confirm(ctx, term); err != nil {
		return readPoint{}, err
	}
	return readPoint{index: index, term: term}, nil
}

// confirm returns nil only if no later leader than this node, in term, existed
// when it was called. See answers for the proof.
func (c *core) confirm(ctx context.Context, term uint64) error {
	mark := c.answers.mark()
	for {
		deposed := c.leadership.change()
		// Raft sends a heartbeat to each peer at once, and notices if it has
		// been deposed. Its verdict alone is not a confirmation.
		if err := c.verify(ctx); err != nil {
			return fmt.Errorf("confirming leadership: %w: %w", errNotLeader, err)
		}
		got, changed := c.answers.since(mark, term)
		if c.quorum(got) || planted.Is(planted.BareVerify) {
			break
		}
		select {
		case <-changed:
		case <-deposed: // no further answer will come; VerifyLeader says so
		case <-ctx.Done():
			return fmt.Errorf("confirming leadership: a quorum has not answered: %w", errNotLeader)
		}
	}
	if !leads(c.raft, term) {
		return fmt.Errorf("confirming leadership of term %d: %w", term, errNotLeader)
	}
	return nil
}

// verify asks Raft whether it leads. A question that Raft has not taken up when it
// stops is never answered: shutdown waits for those that are open.
func (c *core) verify(ctx context.Context) error {
	if !c.questions.begin() {
		return raft.ErrRaftShutdown
	}
	return await(ctx, func() error {
		defer c.questions.end()
		return c.raft.VerifyLeader().Error()
	})
}

// quorum reports whether the peers, with this node, are a majority of the
// voters of the latest configuration.
func (c *core) quorum(peers map[raft.ServerID]bool) bool {
	voters, have := 0, 0
	for _, s := range c.servers() {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if s.ID == c.self || peers[s.ID] {
			have++
		}
	}
	return voters > 0 && have > voters/2
}

func encodeIndex(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

func decodeIndex(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("reading an index: %d bytes instead of 8: %w", len(b), ErrOutcomeUnknown)
	}
	return binary.BigEndian.Uint64(b), nil
}
