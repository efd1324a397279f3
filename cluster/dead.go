package cluster

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// deadAfter is how long a member hasn't answered when it is dead: longer than a
	// restart takes.
	deadAfter = 30 * time.Second
	// maxLook is the most that the time between two looks counts. A node that was
	// stopped for an hour has not missed an hour of the others' answers.
	maxLook = 2 * peerDialTimeout
)

// DeadMember has not answered this node for SilentFor, at least 30 s, neither as a
// peer of Raft nor when it was asked how it is.
type DeadMember struct {
	ID        string
	SilentFor time.Duration
}

// silences are how long the other members have not answered this node, by its own
// looks, and how long it leads. A member counts from the look that finds it.
type silences struct {
	mark uint64 // of answers, at the last look: whoever looks has it alone

	mu     sync.Mutex
	looked time.Duration // monotonic
	of     map[raft.ServerID]time.Duration
	term   uint64 // in which this node leads; 0: in none
	led    time.Duration
}

// look is told the time, the other members, which of them have answered since the
// last look, and the term in which this node leads.
func (s *silences) look(now time.Duration, others []raft.ServerID, answered map[raft.ServerID]bool, term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	passed := min(now-s.looked, maxLook)
	s.looked = now
	of := make(map[raft.ServerID]time.Duration, len(others))
	for _, id := range others {
		was, known := s.of[id]
		if known && !answered[id] {
			was += passed
		} else {
			was = 0
		}
		of[id] = was
	}
	s.of = of
	if term == 0 || term != s.term {
		s.term, s.led = term, 0
	} else {
		s.led += passed
	}
}

// dead are the members that have been silent for so long, by id.
func (s *silences) dead(after time.Duration) []DeadMember {
	s.mu.Lock()
	defer s.mu.Unlock()
	var dead []DeadMember
	for id, silent := range s.of {
		if silent >= after {
			dead = append(dead, DeadMember{ID: string(id), SilentFor: silent})
		}
	}
	slices.SortFunc(dead, func(a, b DeadMember) int { return cmp.Compare(a.ID, b.ID) })
	return dead
}

// leading returns the term in which this node leads, 0 for none, and for how long.
func (s *silences) leading() (term uint64, since time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.term, s.led
}

// lookForDead notes who has answered since the last look: told has, when asked.
func (n *Node) lookForDead(c *core, told map[string]uint32) {
	// Raft's own answers count too: a member that is busy may be late with others.
	mark := c.answers.mark()
	answered, _ := c.answers.since(c.silences.mark, c.raft.CurrentTerm())
	c.silences.mark = mark
	for id := range told {
		answered[raft.ServerID(id)] = true
	}
	var others []raft.ServerID
	for _, s := range c.servers() {
		if s.ID != c.self {
			others = append(others, s.ID)
		}
	}
	c.silences.look(n.cfg.Clocks.Monotonic(), others, answered, c.leadership.term())
}
