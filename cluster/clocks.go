package cluster

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Clock is where a node reads time. Its methods are called concurrently.
type Clock interface {
	// Monotonic is the time since an arbitrary moment that stays the same for the
	// life of the process. It never goes back.
	Monotonic() time.Duration
	// Wall is the machine's idea of the time of day.
	Wall() time.Time
}

const (
	// MaxClockSkew is how far a member's clock may be from the median of the
	// members' before the member is skewed.
	MaxClockSkew = 30 * time.Second
	// maxClockAge is how long a clock that was asked counts. It is read on by this
	// node's monotonic clock meanwhile.
	maxClockAge = 30 * time.Second
	// maxClockRoundTrip is the longest exchange that tells a clock: half of it is
	// the error.
	maxClockRoundTrip = 2 * time.Second
)

// Clocks is a node's clock, corrected by those of the other members: a Clock
// whose Wall is the median of theirs and its own. Its methods may be called
// concurrently.
type Clocks struct {
	own Clock

	mu     sync.Mutex
	others map[string]clockReading // by id; never more than members
}

// clockReading is what another member's clock would show at zero of this node's
// monotonic clock, so that a jump of this node's own clock shows at once.
type clockReading struct {
	zero time.Time
	at   time.Duration // monotonic
}

// NewClocks returns own with no corrections yet.
func NewClocks(own Clock) *Clocks {
	return &Clocks{own: own, others: map[string]clockReading{}}
}

// Monotonic is the own clock's.
func (c *Clocks) Monotonic() time.Duration { return c.own.Monotonic() }

// Wall is the median of the members' clocks, of those that are known; of two in
// the middle their mean.
func (c *Clocks) Wall() time.Time {
	var few [7]time.Duration // it is asked for with every sync: no garbage
	ahead := few[:0]
	now := c.ahead(func(_ string, by time.Duration) { ahead = append(ahead, by) })
	return now.Add(median(ahead))
}

// ahead returns this node's own time, and tells by how much each clock is ahead of it,
// by id; this node's own is "".
func (c *Clocks) ahead(tell func(id string, by time.Duration)) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, mono := c.own.Wall(), c.own.Monotonic()
	wall = wall.Round(0) // its own monotonic reading would decide differences
	tell("", 0)
	for id, r := range c.others {
		if mono-r.at <= maxClockAge {
			tell(id, r.zero.Add(mono).Sub(wall))
		}
	}
	return wall
}

// offsets are how far the members' clocks are from the median; this node is "".
func (c *Clocks) offsets() map[string]time.Duration {
	offsets := map[string]time.Duration{}
	c.ahead(func(id string, by time.Duration) { offsets[id] = by })
	middle := median(slices.Collect(maps.Values(offsets)))
	for id := range offsets {
		offsets[id] -= middle
	}
	return offsets
}

// median is that of some, in any order, which it changes.
func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	below, above := of[(len(of)-1)/2], of[len(of)/2]
	return below + (above-below)/2
}

func skewed(offset time.Duration) bool { return offset > MaxClockSkew || offset < -MaxClockSkew }

// learn notes what member id's clock showed: it was asked at the monotonic time
// asked, and its answer is here.
func (c *Clocks) learn(id string, wall time.Time, asked time.Duration) {
	now := c.own.Monotonic()
	trip := now - asked
	if trip < 0 || trip > maxClockRoundTrip {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others[id] = clockReading{zero: wall.Add(trip/2 - now), at: now}
}

// keep forgets whoever isn't a member.
func (c *Clocks) keep(member func(id string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.others {
		if !member(id) {
			delete(c.others, id)
		}
	}
}

// processClock is the clock where none is configured.
type processClock struct{}

var processStart = time.Now()

func (processClock) Monotonic() time.Duration { return time.Since(processStart) }
func (processClock) Wall() time.Time          { return time.Now() }
