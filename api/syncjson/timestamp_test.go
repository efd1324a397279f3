package syncjson

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseTimestamp(t *testing.T) {
	const base = 1769851800_000000000 // 2026-01-31T09:30:00Z
	for text, want := range map[string]int64{
		"2026-01-31T09:30:00Z":           base,
		"2026-01-31t09:30:00z":           base,
		"2026-01-31T09:30:00":            base,
		"20260131T093000Z":               base,
		"20260131T093000":                base,
		"2026-01-31T09:30:00+00:00":      base,
		"2026-01-31T09:30:00-00:00":      base,
		"2026-01-31T09:30:00+0000":       base,
		"2026-01-31T11:00:00+01:30":      base,
		"20260131T110000+0130":           base,
		"20260131T110000+01:30":          base,
		"2026-01-30T23:30:00-10:00":      base,
		"2026-01-31T09:30:00.1Z":         base + 100_000_000,
		"2026-01-31T09:30:00.123456789":  base + 123_456_789,
		"20260131T093000.000000001+0000": base + 1,
		"1970-01-01T00:00:00Z":           0,
		"1969-12-31T23:00:00-01:00":      0,
		"2261-12-31T23:59:59.999999999Z": latestTimestamp,
		"2262-01-01T00:59:59+01:00":      latestTimestamp - 999_999_999,
		"2024-02-29T00:00:00Z":           1709164800_000000000,
		"2000-02-29T00:00:00Z":           951782400_000000000,
		"2016-12-31T23:59:60Z":           1483228800_000000000,
		"2017-01-01T00:59:60+01:00":      1483228800_000000000,
	} {
		got, err := parseTimestamp([]byte(text))
		if err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseTimestampRefuses(t *testing.T) {
	for text, want := range map[string]error{
		"":                                errNotTimestamp,
		"now":                             errNotTimestamp,
		"1769851800":                      errNotTimestamp,
		"2026-01-31":                      errDateAlone,
		"20260131":                        errDateAlone,
		"2026-01-31T":                     errNotTimestamp,
		"2026-01-31T09:30":                errNotTimestamp,
		"2026-01-31T09:30Z":               errNotTimestamp,
		"2026-01-31 09:30:00Z":            errNotTimestamp,
		"2026-01-31T093000Z":              errNotTimestamp,
		"20260131T09:30:00Z":              errNotTimestamp,
		"2026-0131T09:30:00Z":             errNotTimestamp,
		"202601-31T093000Z":               errNotTimestamp,
		"2026-1-31T09:30:00Z":             errNotTimestamp,
		"26-01-31T09:30:00Z":              errNotTimestamp,
		"+2026-01-31T09:30:00Z":           errNotTimestamp,
		"12026-01-31T09:30:00Z":           errNotTimestamp,
		"2026-W05-6T09:30:00Z":            errNotTimestamp,
		"2026-01-31T09:30:00.Z":           errNotTimestamp,
		"2026-01-31T09:30:00,5Z":          errNotTimestamp,
		"2026-01-31T09:30:00+01":          errNotTimestamp,
		"2026-01-31T09:30:00+1:00":        errNotTimestamp,
		"2026-01-31T09:30:00 Z":           errNotTimestamp,
		"2026-01-31T09:30:00ZZ":           errNotTimestamp,
		" 2026-01-31T09:30:00Z":           errNotTimestamp,
		"2026-01-31T09:30:00Z\n":          errNotTimestamp,
		"２０２６-01-31T09:30:00Z":            errNotTimestamp,
		"2026-01-31T09:30:00.1234567890Z": errFraction,
		"2026-13-01T00:00:00Z":            errNoSuchMoment,
		"2026-00-01T00:00:00Z":            errNoSuchMoment,
		"2026-01-00T00:00:00Z":            errNoSuchMoment,
		"2026-04-31T00:00:00Z":            errNoSuchMoment,
		"2026-02-29T00:00:00Z":            errNoSuchMoment,
		"2100-02-29T00:00:00Z":            errNoSuchMoment,
		"2026-01-31T24:00:00Z":            errNoSuchMoment,
		"2026-01-31T09:60:00Z":            errNoSuchMoment,
		"2026-01-31T09:30:61Z":            errNoSuchMoment,
		"2026-01-31T09:30:60Z":            errNoSuchMoment,
		"2026-01-15T23:59:60Z":            errNoSuchMoment,
		"2026-01-31T09:30:00+24:00":       errNoSuchMoment,
		"2026-01-31T09:30:00+00:60":       errNoSuchMoment,
		"1969-12-31T23:59:59Z":            errYears,
		"1970-01-01T00:00:00+00:01":       errYears,
		"0000-01-01T00:00:00Z":            errYears,
		"2262-01-01T00:00:00Z":            errYears,
		"2261-12-31T23:59:59-01:00":       errYears,
		"9999-12-31T23:59:59Z":            errYears,
	} {
		if got, err := parseTimestamp([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %d, %v; want %v", text, got, err, want)
		}
	}
}

// rfc3339 is the format's letter; time.Parse also takes hours of one digit,
// decimal commas and offsets of a whole day.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// What the standard library reads as RFC 3339 is read alike here, and what is
// accepted lies within the bounds.
func FuzzParseTimestamp(f *testing.F) {
	for _, seed := range []string{
		"2026-01-31T09:30:00Z", "20260131T093000.5+0130", "2026-01-31T09:30:00", "2016-12-31T23:59:60Z",
		"2026-01-31", "2026-02-30T00:00:00Z", "1970-01-01T00:00:00+23:59", "2261-12-31T23:59:59.999999999-23:59",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseTimestamp([]byte(text))
		if err == nil && (got < 0 || got > latestTimestamp) {
			t.Fatalf("%q: %d is out of bounds", text, got)
		}
		std, stdErr := time.Parse(time.RFC3339Nano, text)
		if stdErr != nil || !rfc3339.MatchString(text) {
			return
		}
		switch {
		case err == nil && got != std.UnixNano():
			t.Fatalf("%q: %d, the standard library has %d", text, got, std.UnixNano())
		case errors.Is(err, errNotTimestamp), errors.Is(err, errNoSuchMoment):
			t.Fatalf("%q: %v, the standard library has %v", text, err, std)
		case errors.Is(err, errYears) && std.Year() >= 1971 && std.Year() <= 2260:
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// written is a moment in one of the forms that are accepted.
func written(t *rapid.T, nanos int64) string {
	form := rapid.SampledFrom([]string{
		"2006-01-02T15:04:05.000000000Z07:00", "2006-01-02T15:04:05.000000000-0700",
		"20060102T150405.000000000Z0700", "20060102T150405.000000000-07:00",
		"2006-01-02T15:04:05.000000000", "20060102T150405.000000000",
	}).Draw(t, "form")
	at := time.Unix(0, nanos).UTC()
	if strings.Contains(form, "7") && at.Year() > 1970 && at.Year() < 2261 {
		minutes := rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "offset")
		at = at.In(time.FixedZone("", minutes*60))
	}
	return at.Format(form)
}

func TestParseTimestampReadsEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(0, latestTimestamp).Draw(t, "nanos")
		text := written(t, want)
		if got, err := parseTimestamp([]byte(text)); err != nil || got != want {
			t.Fatalf("%s: %d, %v; want %d", text, got, err, want)
		}
	})
}
