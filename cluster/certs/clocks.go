package certs

import (
	"errors"
	"time"
)

// clocks tell what time it is. Certificates are made and replaced by the first. They are
// valid unless all clocks have it otherwise: any one may be wrong, and whoever refuses a
// good certificate is cut off.
type clocks []func() time.Time

func (c clocks) now() time.Time { return c[0]() }

// atAny verifies by one clock after the other.
func (c clocks) atAny(verify func(now time.Time) error) (err error) {
	for _, clock := range c {
		if err = verify(clock()); !errors.Is(err, ErrNotValidNow) {
			return err
		}
	}
	return err
}
