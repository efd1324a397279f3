package upkeep

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"pipesync/fsm"
	"pipesync/storage"
)

// markPoll is how often it is looked whether a mark is due.
const markPoll = time.Second

// marker has the nodes note, while this one leads, what their states are worth:
// see package audit.
type marker struct {
	Leader

	last  uint64 // the newest mark that was seen
	since int64  // cluster time at which it was seen first
}

// run works until ctx ends.
func (m *marker) run(ctx context.Context) {
	for pause(ctx, markPoll) == nil {
		if err := m.step(ctx); err != nil && ctx.Err() == nil {
			m.Log.Warn("could not mark the log; trying again", "error", err)
		}
	}
}

// step proposes a mark if one is due.
func (m *marker) step(ctx context.Context) error {
	now := m.ClusterTime()
	if now == 0 {
		m.last, m.since = 0, 0
		return nil
	}
	mark, err := m.due(now)
	if err != nil || mark == nil {
		return err
	}
	_, _ = rand.Read(mark.RequestID[:]) // never fails: see crypto/rand
	body, err := fsm.Encode(mark)
	if err != nil {
		return err
	}
	return m.Propose(ctx, body)
}

// due returns the next mark; nil: not yet.
func (m *marker) due(now int64) (*fsm.Mark, error) {
	view, err := m.State.View()
	if err != nil {
		return nil, fmt.Errorf("looking for the last mark: %w", err)
	}
	defer view.Close()
	marks, err := view.Marks()
	if err != nil {
		return nil, fmt.Errorf("looking for the last mark: %w", err)
	}
	var last storage.Mark
	if n := len(marks.Last); n > 0 {
		last = marks.Last[n-1]
	}
	if last.Index != m.last || m.since == 0 {
		m.last, m.since = last.Index, now
	}
	if now-marks.ScrubAt >= int64(m.Pace.Scrub) {
		return &fsm.Mark{Previous: last, Scrub: true}, nil
	}
	entries := view.Applied() - last.Index // fenced and Raft's own ones included
	if entries == 0 || entries < m.Pace.MarkEntries && now-m.since < int64(m.Pace.Mark) {
		return nil, nil
	}
	return &fsm.Mark{Previous: last}, nil
}
