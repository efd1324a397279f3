// Package seeds says where the seeds begin of tests of which each run takes a
// sample: so that every day's are new, and a run can be repeated.
package seeds

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// DayEnv names a day as 20061231, whose seeds are taken instead of today's.
const DayEnv = "PIPESYNC_SEED_DAY"

// perDay is more seeds than any test takes in a day.
const perDay = 1_000_000

// First returns the day's first seed: seed 20061231000042 is the 43rd of 31 December
// 2006, in UTC.
func First() (uint64, error) {
	day, err := Day()
	return day * perDay, err
}

// Day is the day as a number, 20061231: for tests that not every day's run has.
func Day() (uint64, error) {
	text := os.Getenv(DayEnv)
	if text == "" {
		text = time.Now().UTC().Format("20060102")
	}
	day, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("reading the day of %s: %w", DayEnv, err)
	}
	return day, nil
}
