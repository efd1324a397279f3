package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"pipesync/fsm"
	"pipesync/storage"
)

const (
	// A mark is due after so many entries, or after so long if there was any. Both
	// bound how much is answered from a state that has gone wrong.
	markEntries = 1024
	markEvery   = 60 * time.Second
	// scrubEvery is how often all rows are hashed, in cluster time.
	scrubEvery = 24 * time.Hour
	// markPoll is how often it is looked whether one is due.
	markPoll = time.Second
)

// marker has the nodes note, while this one leads, what their states are worth:
// see package audit.
type marker struct {
	state interface{ View() (*fsm.View, error) }
	// clusterTime is 0 while this node doesn't lead.
	clusterTime func() int64
	propose     func(ctx context.Context, body []byte) error
	log         *slog.Logger

	last  uint64 // the newest mark that was seen
	since int64  // cluster time at which it was seen first
}

// run works until ctx ends.
func (m *marker) run(ctx context.Context) {
	for pause(ctx, markPoll) == nil {
		if err := m.step(ctx); err != nil && ctx.Err() == nil {
			m.log.Warn("could not mark the log; trying again", "error", err)
		}
	}
}

// step proposes a mark if one is due.
func (m *marker) step(ctx context.Context) error {
	now := m.clusterTime()
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
	return m.propose(ctx, body)
}

// due returns the next mark; nil: not yet.
func (m *marker) due(now int64) (*fsm.Mark, error) {
	view, err := m.state.View()
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
	if now-marks.ScrubAt >= int64(scrubEvery) {
		return &fsm.Mark{Previous: last, Scrub: true}, nil
	}
	entries := view.Applied() - last.Index // fenced and Raft's own ones included
	if entries == 0 || entries < markEntries && now-m.since < int64(markEvery) {
		return nil, nil
	}
	return &fsm.Mark{Previous: last}, nil
}
