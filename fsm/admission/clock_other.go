//go:build !linux

package admission

import "time"

var processStart = time.Now()

// Monotonic implements Clock by the runtime's monotonic clock.
func (SystemClock) Monotonic() time.Duration { return time.Since(processStart) }
