package check

import (
	"slices"
	"time"

	"pipesync/test/jepsen/history"
)

const (
	// A sync that took no longer than quickTime shows that there was a leader then.
	quickTime = 250 * time.Millisecond
	// minStandstill is how long there is nothing of the kind before that counts. Where
	// another term begins as much may be lost beside it.
	minStandstill = time.Second
)

// standstills are when the cluster's time may have stood still. A leader's goes on; from
// the last entry of one leader until there is the next it doesn't.
type standstills struct {
	gaps  []span
	terms []time.Duration // when each began, as soon as any node knew
}

type span struct{ from, to time.Duration }

func newStandstills(h *history.History) *standstills {
	s := &standstills{}
	var quick []span
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Sync != nil && op.Outcome == history.OK && !op.Sync.Repeat && op.Returned-op.Invoked <= quickTime {
			quick = append(quick, span{op.Invoked, op.Returned})
		}
	}
	slices.SortFunc(quick, func(a, b span) int { return int(a.to - b.to) })
	last := time.Duration(0)
	for _, q := range quick {
		if q.to-last > minStandstill {
			s.gaps = append(s.gaps, span{last, q.to})
		}
		last = max(last, q.from)
	}
	s.gaps = append(s.gaps, span{last, 1<<63 - 1})
	first := map[uint64]time.Duration{}
	for _, l := range h.Leaders {
		if at, known := first[l.Term]; !known || l.Seen < at {
			first[l.Term] = l.Seen
		}
	}
	for _, at := range first {
		s.terms = append(s.terms, at)
	}
	return s
}

// within is for how long it may have stood still in that time.
func (s *standstills) within(from, to time.Duration) (total time.Duration) {
	for _, g := range s.gaps {
		if length := min(g.to, to) - max(g.from, from); length > 0 {
			total += length
		}
	}
	for _, at := range s.terms {
		if at > from && at < to+minStandstill {
			total += minStandstill
		}
	}
	return total
}
