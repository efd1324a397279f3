package main

import "slices"

// anyGroup is what a hash of the organization's name comes to.
func (w *world) anyGroup() int { return w.below(len(w.groups)) }

// betterOfTwo is the less loaded one of two groups that are drawn.
func (w *world) betterOfTwo() int {
	a, b := w.anyGroup(), w.anyGroup()
	if w.groups[b].load < w.groups[a].load {
		return b
	}
	return a
}

// relieve moves one organization from the busiest group to the idlest, where the busiest is
// further above the mean than the threshold: the largest one that leaves the one no busier
// than the other was. Small ones, which would change little, stay.
func (w *world) relieve() bool {
	from, to := w.busiest()
	if w.groups[from].load*int64(len(w.groups))*100 <= w.total()*int64(100+w.thresholdPercent) {
		return false
	}
	gap, chosen := w.groups[from].load-w.groups[to].load, -1
	for i, o := range w.organizations {
		fits := o.group == from && o.movable <= w.minute && o.load <= gap/2 && o.load > gap/1000
		if fits && (chosen < 0 || o.load > w.organizations[chosen].load) {
			chosen = i
		}
	}
	if chosen < 0 {
		return false
	}
	o := &w.organizations[chosen]
	w.groups[from].load -= o.load
	w.groups[to].load += o.load
	o.group, o.movable = to, w.minute+w.cooldown
	w.done.moves++
	return true
}

// spreadLeaders has one group led by another of its nodes, where that leads two fewer groups.
func (w *world) spreadLeaders() bool {
	led := w.held(true)
	for g := range w.groups {
		group := &w.groups[g]
		for _, r := range group.replicas {
			if w.alive[r] && led[r]+2 <= led[group.leader] {
				group.leader = r
				w.done.transfers++
				return true
			}
		}
	}
	return false
}

// roomiest is the node with the fewest replicas of those that are alive and have none of the
// group, -1 if there is none.
func (w *world) roomiest(group int) int {
	held, best := w.held(false), -1
	for n := range w.alive {
		if w.alive[n] && !slices.Contains(w.groups[group].replicas, n) && (best < 0 || held[n] < held[best]) {
			best = n
		}
	}
	return best
}

// spreadReplicas builds one replica anew: where a node is lost, or has two more than another.
func (w *world) spreadReplicas() bool {
	held := w.held(false)
	for g := range w.groups {
		to := w.roomiest(g)
		for i, r := range w.groups[g].replicas {
			if to < 0 || w.alive[r] && held[to]+2 > held[r] {
				continue
			}
			w.groups[g].replicas[i] = to
			if w.groups[g].leader == r {
				w.groups[g].leader = to
			}
			w.done.rebuilt++
			return true
		}
	}
	return false
}

// lose has a node fail. Each group that it led elects one of its other replicas, the one
// that leads the fewest.
func (w *world) lose(node int) {
	w.alive[node], w.lostAt = false, w.minute
	for g := range w.groups {
		group, led := &w.groups[g], w.held(true)
		if group.leader != node {
			continue
		}
		for _, r := range group.replicas {
			if w.alive[r] && (group.leader == node || led[r] < led[group.leader]) {
				group.leader = r
			}
		}
	}
}

// pass is one minute, in which there is one of each step at most.
func (w *world) pass() {
	w.minute++
	w.relieve()
	w.spreadLeaders()
	if w.minute >= w.lostAt+w.patience {
		w.spreadReplicas()
	}
}
