package admission

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Monotonic implements Clock. It reads CLOCK_MONOTONIC_RAW: unlike CLOCK_MONOTONIC,
// which Go's time package reads, NTP can't slew it.
func (SystemClock) Monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &ts); err != nil {
		// Linux has had this clock since 2.6.28, and a second source in the same
		// process would make cluster time jump.
		panic(fmt.Sprintf("reading CLOCK_MONOTONIC_RAW: %v", err))
	}
	return time.Duration(ts.Nano())
}
