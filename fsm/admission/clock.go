package admission

import "time"

// Clock is where the leader reads time. Its methods are called concurrently.
type Clock interface {
	// Monotonic is the time since an arbitrary moment that stays the same for the
	// life of the process. It never goes back and never runs ahead of real time by
	// more than 0.1 %; it may stand still while the machine sleeps.
	Monotonic() time.Duration
	// Wall is the machine's idea of the time of day.
	Wall() time.Time
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Wall implements Clock.
func (SystemClock) Wall() time.Time { return time.Now() }
