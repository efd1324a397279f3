package simcluster

import (
	"sync"
	"time"
)

// clock is one process's, an admission.Clock. Its monotonic time runs a little
// fast or slow, from a moment of its own, and may stand still. Its wall time jumps.
type clock struct {
	started time.Time
	base    time.Duration // monotonic time at the start
	ppm     int64         // how much faster it runs than real time

	mu     sync.Mutex
	offset time.Duration // of wall time
	frozen time.Time     // since when it stands still; zero: it runs
	slept  time.Duration // before that
}

// maxPPM is what the cluster's window allows for.
const maxPPM = 999

func (c *clock) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.frozen.IsZero() {
		now = c.frozen
	}
	d := now.Sub(c.started) - c.slept
	return c.base + d + d*time.Duration(c.ppm)/1e6
}

func (c *clock) Wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) jump(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = offset
}

// freeze changes nothing where the clock stands still: it must not catch up.
func (c *clock) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen.IsZero() {
		c.frozen = time.Now()
	}
}

func (c *clock) thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.frozen.IsZero() {
		c.slept += time.Since(c.frozen)
		c.frozen = time.Time{}
	}
}
