package check

import "pipesync/test/jepsen/history"

// Crashes leave a state of some index, not before the snapshot behind which the node has
// cut its log. What it has is among the reads.
func Crashes(h *history.History) *Report {
	r := newReport("crashes")
	for _, c := range h.Crashes {
		r.Figures["crashes"]++
		switch {
		case c.Problem != "":
			r.found(nil, "the state that %s has left at %v can't be read: %s", c.Node, c.At, c.Problem)
		case c.Applied < c.AtLeast:
			r.found(nil, "the state that %s has left at %v is that of index %d; its log begins behind %d", c.Node, c.At, c.Applied, c.AtLeast)
		}
	}
	return r
}
