package check

import (
	"maps"
	"slices"

	"pipesync/test/jepsen/history"
)

// Changes has everybody who follows the changes of an organization arrive at its
// records: what somebody has at one index, with all changes behind that folded in, is
// what there is at the index of the state that they come from.
func Changes(h *history.History) *Report {
	r := newReport("changes")
	all := newReport("").states(h)
	for _, f := range h.Followings {
		switch {
		case f.Compacted && f.After == 0:
			r.found(nil, "%s has forgotten changes of %s for somebody who has none yet", f.Node, f.Org)
		case f.Compacted:
			r.Figures["followers who have to begin anew"]++
		case f.Reconciling:
			r.Figures["followers before the end of a refresh"]++
		default:
			r.Figures["followers"]++
			r.fold(all, &f)
		}
	}
	return r
}

func (r *Report) fold(all states, f *history.Following) {
	folded := map[string]map[string]history.Record{}
	in := func(namespace string) map[string]history.Record {
		if folded[namespace] == nil {
			folded[namespace] = map[string]history.Record{}
		}
		return folded[namespace]
	}
	for _, namespace := range slices.Sorted(maps.Keys(all[f.Org])) {
		for _, record := range all.of(f.Org, namespace).at(f.After) {
			in(namespace)[record.ID] = record
		}
	}
	for _, c := range f.Changes {
		r.Figures["changes"]++
		if c.Deleted {
			r.Figures["deletions"]++
			delete(in(c.Namespace), c.ID)
		} else {
			in(c.Namespace)[c.ID] = c.Record
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(all[f.Org])) {
		var have []history.Record
		for _, id := range slices.Sorted(maps.Keys(in(namespace))) {
			have = append(have, in(namespace)[id])
		}
		if want := all.of(f.Org, namespace).at(f.Index); !slices.Equal(have, want) {
			r.found(nil, "on %s somebody who had %s/%s at index %d and follows its changes has %s at index %d: it should be %s",
				f.Node, f.Org, namespace, f.After, describe(have), f.Index, describe(want))
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(folded)) {
		if _, known := all[f.Org][namespace]; !known {
			r.found(nil, "on %s there are changes in %s/%s, where nothing was written", f.Node, f.Org, namespace)
		}
	}
}
