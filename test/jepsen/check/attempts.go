package check

import "pipesync/test/jepsen/history"

// Attempts has all be refused that a cluster has to refuse.
func Attempts(h *history.History) *Report {
	r := newReport("attempts")
	for _, a := range h.Attempts {
		r.Figures["attempts"]++
		if a.Succeeded {
			r.found(nil, "%s at %v: an attempt %s succeeded", a.Node, a.At, a.What)
		}
	}
	return r
}
