//go:build planted

package planted

import "os"

var live = Bug(os.Getenv(Variable))

// Is says whether b is live.
func Is(b Bug) bool { return b == live }
