package check

import "pipesync/test/jepsen/history"

// Rots has no damage to bytes that a node has had reason to read go unnoticed. Whether
// something wrong was served meanwhile is for the other checks.
func Rots(h *history.History) *Report {
	r := newReport("rot")
	for _, rot := range h.Rots {
		r.Figures[rot.How+", "+rot.File]++
		switch {
		case rot.Detected != "":
			r.Figures["detected"]++
		case rot.Repaired != "":
			r.Figures["repaired"]++
		case rot.Gone != "":
			r.Figures["gone before they were read"]++
		default:
			r.found(nil, "%s, %s of %s (%s) at %v: nobody has noticed", rot.How, rot.File, rot.Node, rot.Place, rot.At)
		}
	}
	return r
}
