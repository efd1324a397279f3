package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"pipesync/fsm"
	"pipesync/fsm/audit"
)

// stateReply is what identifies a node's state: nodes with the same chain at a
// mark have written the same, and those with the same hash have the same rows.
type stateReply struct {
	ClusterVersion uint32 `json:"cluster_version"`
	Index          uint64 `json:"index"` // of the last entry in it

	Mark  *markReply  `json:"mark"`
	Scrub *scrubReply `json:"scrub"`
}

type markReply struct {
	Index uint64 `json:"index"`
	Chain string `json:"chain"`
}

type scrubReply struct {
	Index      uint64        `json:"index"`
	Hash       string        `json:"hash"`
	Rows       uint64        `json:"rows"`
	Bytes      uint64        `json:"bytes"`
	FinishedAt string        `json:"finished_at"`
	Verdict    audit.Verdict `json:"verdict"`
	Problems   []string      `json:"problems"`
}

// readState is the state and what it has, as of one entry; nil where that can't be
// read just now, of which the rest of a status says why.
func (s *server) readState() (reply stateReply, usage *usageReply, err error) {
	view, err := s.State.View()
	if errors.Is(err, fsm.ErrNotReady) || errors.Is(err, fsm.ErrClosed) {
		return reply, nil, nil
	}
	if err != nil {
		return reply, nil, fmt.Errorf("opening a view: %w", err)
	}
	defer view.Close()
	reply.ClusterVersion, reply.Index = view.System().ClusterVersion, view.Applied()
	marks, marksErr := view.Marks()
	total, usageErr := view.Usage()
	if err := errors.Join(marksErr, usageErr); err != nil {
		return reply, nil, fmt.Errorf("reading the state: %w", err)
	}
	told := newUsageReply(total)
	if n := len(marks.Last); n > 0 {
		reply.Mark = &markReply{marks.Last[n-1].Index, fmt.Sprintf("%016x", marks.Last[n-1].Chain)}
	}
	if scrub, verdict, found := s.Audit.LastScrub(); found {
		reply.Scrub = &scrubReply{
			Index: scrub.Index, Hash: scrub.Hash, Rows: scrub.Rows, Bytes: scrub.Bytes,
			FinishedAt: scrub.FinishedAt.Format(time.RFC3339), Verdict: verdict, Problems: append([]string{}, scrub.Problems...),
		}
	}
	return reply, &told, nil
}

// handleScrub has every node scrub its state as it is at one entry.
func (s *server) handleScrub(c *call) error {
	result, err := s.command(c, &fsm.Mark{RequestID: mintRequestID(), Scrub: true})
	if err != nil {
		return err
	}
	c.reply(http.StatusAccepted, struct {
		Index uint64 `json:"index"`
	}{result.Index})
	return nil
}
