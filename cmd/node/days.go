package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const maxDays = 36_500

// days is a flag's duration in whole seconds: as Go writes them, or days such as 90d.
type days time.Duration

// String implements pflag.Value.
func (d *days) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

// Set implements pflag.Value.
func (d *days) Set(text string) error {
	if count, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(count, 10, 32)
		if err != nil || n > maxDays {
			return fmt.Errorf("must be at most %d days, such as 90d", maxDays)
		}
		*d = days(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 || v%time.Second != 0 {
		return errors.New("must be a duration in whole seconds, such as 90d, 12h or 30s")
	}
	*d = days(v)
	return nil
}

// Type implements pflag.Value.
func (d *days) Type() string { return "duration" }

func (d *days) seconds() int64 { return int64(time.Duration(*d) / time.Second) }
