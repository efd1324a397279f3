package syncjson

import (
	"errors"
	"time"
)

// Why a timestamp is refused.
var (
	errNotTimestamp = errors.New("must be an ISO 8601 date and time such as 2026-01-31T09:30:00Z")
	errDateAlone    = errors.New("is a date alone; add the time, such as 2026-01-31T00:00:00Z")
	errNoSuchMoment = errors.New("names a date or time that does not exist")
	errFraction     = errors.New("may have at most 9 fractional digits")
	errYears        = errors.New("must lie in the years 1970 to 2261")
)

const maxFractionDigits = 9

// latestTimestamp is 2261-12-31T23:59:59.999999999Z, the end of the last whole
// year that fits an int64 of nanoseconds.
const latestTimestamp = 9214646399_999999999

// parseTimestamp reads RFC 3339, in the extended format or ISO 8601's basic one
// (20260131T093000Z), and returns nanoseconds since the Unix epoch. The offset
// may be absent, which means UTC, or lack its colon. A 60th second is accepted
// where a leap second can be, at the end of a UTC month, and is the instant
// after it, as POSIX counts.
func parseTimestamp(text []byte) (int64, error) {
	s := scanner{rest: text}
	year := s.digits(4)
	extended := s.accept('-')
	month := s.digits(2)
	if extended {
		s.require('-')
	}
	day := s.digits(2)
	if !s.failed && len(s.rest) == 0 {
		return 0, errDateAlone
	}
	if !s.accept('T') {
		s.require('t')
	}
	hour := s.digits(2)
	if extended {
		s.require(':')
	}
	minute := s.digits(2)
	if extended {
		s.require(':')
	}
	second := s.digits(2)
	nanos, tooLong := s.fraction()
	offset := s.offset()
	if s.failed || len(s.rest) != 0 {
		return 0, errNotTimestamp
	}
	if tooLong {
		return 0, errFraction
	}
	if hour > 23 || minute > 59 || second > 60 || offset == invalidOffset {
		return 0, errNoSuchMoment
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Year() != year || int(date.Month()) != month || date.Day() != day {
		return 0, errNoSuchMoment
	}
	seconds := date.Unix() + int64(hour*3600+minute*60+second-offset)
	if second == 60 && !startsMonth(seconds) {
		return 0, errNoSuchMoment
	}
	if seconds < 0 || seconds > latestTimestamp/int64(time.Second) {
		return 0, errYears
	}
	return seconds*int64(time.Second) + nanos, nil
}

// startsMonth says whether seconds since the epoch is midnight of a month's
// first day in UTC.
func startsMonth(seconds int64) bool {
	t := time.Unix(seconds, 0).UTC()
	return t.Day() == 1 && t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0
}

// scanner reads a timestamp's parts; a failure sticks.
type scanner struct {
	rest   []byte
	failed bool
}

func (s *scanner) accept(c byte) bool {
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) require(c byte) {
	if !s.accept(c) {
		s.failed = true
	}
}

// digits reads exactly n digits.
func (s *scanner) digits(n int) int {
	if len(s.rest) < n {
		s.failed = true
		return 0
	}
	v := 0
	for _, c := range s.rest[:n] {
		if c < '0' || c > '9' {
			s.failed = true
			return 0
		}
		v = 10*v + int(c-'0')
	}
	s.rest = s.rest[n:]
	return v
}

// fraction reads an optional decimal fraction of a second.
func (s *scanner) fraction() (nanos int64, tooLong bool) {
	if !s.accept('.') {
		return 0, false
	}
	n := 0
	for n < len(s.rest) && '0' <= s.rest[n] && s.rest[n] <= '9' {
		if n < maxFractionDigits {
			nanos = 10*nanos + int64(s.rest[n]-'0')
		}
		n++
	}
	s.rest = s.rest[n:]
	if n == 0 {
		s.failed = true
	}
	for i := n; i < maxFractionDigits; i++ {
		nanos *= 10
	}
	return nanos, n > maxFractionDigits
}

const invalidOffset = 24 * 3600

// offset reads Z, ±hh:mm, ±hhmm or nothing, as seconds east of UTC.
func (s *scanner) offset() int {
	if len(s.rest) == 0 || s.accept('Z') || s.accept('z') {
		return 0
	}
	sign := 1
	if !s.accept('+') {
		s.require('-')
		sign = -1
	}
	hour := s.digits(2)
	s.accept(':')
	minute := s.digits(2)
	if hour > 23 || minute > 59 {
		return invalidOffset
	}
	return sign * (hour*3600 + minute*60)
}
