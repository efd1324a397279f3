//go:build !planted

package planted

// Is says whether b is live: never.
func Is(Bug) bool { return false }
