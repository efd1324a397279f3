package auditlog

import (
	"sync"
	"time"
)

const (
	// refusalWindow has at most maxRefusals lines, each of another cause: who is refused
	// again and again fills no disk, and hides nobody else for long.
	refusalWindow = time.Minute
	maxRefusals   = 20
)

// limiter says which refusals get a line of their own, and counts the others.
type limiter struct {
	mu      sync.Mutex
	began   time.Time
	seen    map[string]bool // causes in this window, at most maxRefusals
	leftOut uint64
}

// allows says whether a refusal for this cause gets a line, and how many before it had
// none, which have to be told now.
func (l *limiter) allows(cause string, now time.Time) (is bool, leftOut uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	leftOut = l.turn(now)
	if l.seen[cause] || len(l.seen) >= maxRefusals {
		l.leftOut++
		return false, leftOut
	}
	l.seen[cause] = true
	return true, leftOut
}

// ended is how many had no line in windows that are over, or in all where final is set.
func (l *limiter) ended(now time.Time, final bool) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if final {
		l.began = time.Time{}
	}
	return l.turn(now)
}

// turn begins another window where it is time to, and returns the count of the last.
func (l *limiter) turn(now time.Time) (leftOut uint64) {
	if !l.began.IsZero() && now.Sub(l.began) < refusalWindow {
		return 0
	}
	leftOut, l.leftOut = l.leftOut, 0
	l.began, l.seen = now, make(map[string]bool, maxRefusals)
	return leftOut
}
