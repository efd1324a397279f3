package check

import "pipesync/test/jepsen/history"

// Backups can be restored. What they have is among the reads.
func Backups(h *history.History) *Report {
	r := newReport("backups")
	for _, b := range h.Backups {
		r.Figures["backups"]++
		if b.Problem != "" {
			r.found(nil, "the backup of %s at %v, of index %d, can't be restored: %s", b.Node, b.Began, b.Index, b.Problem)
		}
	}
	return r
}
