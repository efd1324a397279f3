package main

import (
	"slices"
	"sort"
)

// capacity is what the cluster carries, in thousandths of what one group does, if the load
// of all groups grows alike; and what keeps it from carrying more.
func (w *world) capacity() (thousandths int, bound string) {
	const most = 1_000_000
	n := sort.Search(most, func(n int) bool { return w.exceeded(w.carried(n+1)) != "" })
	return n, w.exceeded(w.carried(n + 1))
}

func (w *world) carried(thousandths int) int64 {
	return int64(thousandths) * int64(w.groupMax) * milli / 1000
}

// exceeded is the bound that a load of all groups together is above, or "".
func (w *world) exceeded(load int64) string {
	work, batches := make([]int64, len(w.alive)), make([]int64, len(w.alive))
	for n := range work {
		work[n] = load / int64(len(w.alive)) * int64(w.receivePercent)
	}
	for _, g := range w.groups {
		l := scale(g.load, load, w.total())
		if l > int64(w.groupMax)*milli {
			return "group"
		}
		work[g.leader] += l * int64(w.leadPercent)
		for _, r := range g.replicas {
			work[r] += l * int64(w.applyPercent)
			batches[r] += l / int64(w.fsyncSyncs)
		}
	}
	for n := range work {
		if work[n] > int64(w.nodeMax)*milli*100 {
			return "processors"
		}
		if batches[n] > int64(w.diskFsyncs)*milli {
			return "fsyncs"
		}
	}
	return ""
}

// fsyncs is how often the busiest disk is asked for an fsync at a load of all groups together,
// in milli: by a log for each group, each of which makes no more than it can one after the
// other; or by one log for all groups of a node.
func (w *world) fsyncs(load int64) (logEach, oneLog int64) {
	most, each, all := int64(w.groupFsyncs)*milli, make([]int64, len(w.alive)), make([]int64, len(w.alive))
	for _, g := range w.groups {
		l := scale(g.load, load, w.total())
		for _, r := range g.replicas {
			each[r] += min(l, most)
			all[r] = min(all[r]+l, most)
		}
	}
	return slices.Max(each), slices.Max(all)
}
