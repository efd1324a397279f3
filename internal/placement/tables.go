package main

import (
	"fmt"
	"slices"
	"strings"
)

const (
	hour = 60
	// highLimit is the highest that the settings allow.
	highLimit = 10_000
)

// A table is one of docs/scaling.md, where it has a mark of this name.
type table struct{ name, text string }

func tables(p params) []table {
	return []table{{"policies", policies(p)}, {"days", days(p)}, {"capacities", capacities(p)}}
}

// policies compares where organizations are put.
func policies(p params) string {
	var b strings.Builder
	b.WriteString("| syncs/min of one organization | groups | largest organization | by hash | better of two | and moves | moves |\n|---|---|---|---|---|---|---|\n")
	for _, p.limitMinute = range []int{p.limitMinute, highLimit} {
		for _, p.groups = range []int{4, 16, 64} {
			hashed, placed := newWorld(p), newWorld(p)
			hashed.populate(hashed.anyGroup)
			placed.populate(placed.betterOfTwo)
			two := placed.imbalance()
			placed.settle()
			fmt.Fprintf(&b, "| %d | %d | %s | %s | %s | %s | %d |\n", p.limitMinute, p.groups,
				hundredths(placed.overMean(placed.zipf()[0])), hundredths(hashed.imbalance()), hundredths(two), hundredths(placed.imbalance()), placed.done.moves)
		}
	}
	return b.String()
}

// settle goes on until there is nothing to do.
func (w *world) settle() {
	for w.relieve() || w.spreadLeaders() || w.spreadReplicas() {
		w.minute += w.cooldown + 1
	}
}

// imbalance is the load of the busiest group over the mean, in hundredths.
func (w *world) imbalance() int64 {
	busiest, _ := w.busiest()
	return w.overMean(w.groups[busiest].load)
}

func (w *world) overMean(load int64) int64 {
	return share(load*int64(len(w.groups)), w.total())
}

// share is n/of in hundredths, rounded.
func share(n, of int64) int64 { return (n*100 + of/2) / of }

// hundredths of 1.
type hundredths int64

func (n hundredths) String() string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// days goes with one cluster through what may happen to it, a day each.
func days(p params) string {
	var b strings.Builder
	b.WriteString("| day | organizations | busiest group, at the end | at worst | leaders of a node | moves | in an hour, at most | wait for a move | wait for an election | leaders moved | replicas built |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	p.limitMinute = highLimit
	w := newWorld(p)
	w.populate(w.betterOfTwo)
	nothing := func() int64 { return 0 }
	for _, d := range []struct {
		name   string
		begin  func() (waiting int64) // the load that has no leader then
		hourly func()
	}{
		{"placed, and balanced", nothing, func() {}},
		{"every hour one in a hundred changes its load", nothing, func() { w.shuffle(len(w.organizations) / 100) }},
		{"a quarter more of them", nothing, func() { w.grow(w.params.organizations / 4 / 24) }},
		{"an idle one becomes as busy as any may be", w.heat, func() {}},
		{"a node is lost", w.loseLeader, func() {}},
		{"a node joins", func() int64 { w.alive = append(w.alive, true); return 0 }, func() {}},
	} {
		w.done = counts{}
		waiting, worst, worstHour := d.begin(), w.imbalance(), 0
		for range 24 {
			d.hourly()
			before := w.done.moves
			for range hour {
				worst = max(worst, w.imbalance())
				w.pass()
			}
			worstHour = max(worstHour, w.done.moves-before)
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %d | %d | %s %% | %s %% | %d | %d |\n", d.name, len(w.organizations),
			hundredths(w.imbalance()), hundredths(worst), w.leaders(), w.done.moves, worstHour,
			hundredths(share(int64(w.done.moves)*100, int64(len(w.organizations)))), hundredths(share(waiting*100, w.total())),
			w.done.transfers, w.done.rebuilt)
	}
	return b.String()
}

// leaders is how many groups a node leads, the fewest and the most.
func (w *world) leaders() string {
	var led []int
	for n, count := range w.held(true) {
		if w.alive[n] {
			led = append(led, count)
		}
	}
	if slices.Min(led) == slices.Max(led) {
		return fmt.Sprint(led[0])
	}
	return fmt.Sprintf("%d to %d", slices.Min(led), slices.Max(led))
}

// shuffle has so many organizations change their loads with others.
func (w *world) shuffle(n int) {
	for range n {
		a, b := w.below(len(w.organizations)), w.below(len(w.organizations))
		loadA, loadB := w.organizations[a].load, w.organizations[b].load
		w.setLoad(a, loadB)
		w.setLoad(b, loadA)
	}
}

// grow has so many more organizations appear, each like one of the first.
func (w *world) grow(n int) {
	for range n {
		w.add(w.organizations[w.below(w.params.organizations)].load, w.betterOfTwo())
	}
}

// heat has an organization of no account in the busiest group do as much as any may.
func (w *world) heat() int64 {
	busiest, _ := w.busiest()
	least := -1
	for i, o := range w.organizations {
		if o.group == busiest && (least < 0 || o.load < w.organizations[least].load) {
			least = i
		}
	}
	w.setLoad(least, w.limit())
	return 0
}

// loseLeader has the node fail that leads most, and tells the load that waits for an election.
func (w *world) loseLeader() (waiting int64) {
	led := w.held(true)
	node := slices.Index(led, slices.Max(led))
	for _, g := range w.groups {
		if g.leader == node {
			waiting += g.load
		}
	}
	w.lose(node)
	return waiting
}

// capacities tells what clusters carry as their groups grow in number.
func capacities(p params) string {
	var b strings.Builder
	groups := []int{1, 2, 4, 8, 16, 32, 64}
	b.WriteString("| nodes | groups |")
	for _, g := range groups {
		fmt.Fprintf(&b, " %d |", g)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(groups)) + "\n")
	for _, p.nodes = range []int{3, 5, 9, 15} {
		rows := []string{"carry", "fsyncs wanted, a log a group", "fsyncs wanted, a log a node"}
		for i := range rows {
			rows[i] = fmt.Sprintf("| %d | %s |", p.nodes, rows[i])
		}
		for _, p.groups = range groups {
			w := newWorld(p)
			w.populate(w.betterOfTwo)
			w.settle()
			most, bound := w.capacity()
			each, one := w.fsyncs(w.carried(most))
			disk := int64(w.diskFsyncs) * milli
			rows[0] += fmt.Sprintf(" %s %s |", hundredths(share(int64(most), 1000)), bound)
			rows[1] += fmt.Sprintf(" %s |", hundredths(share(each, disk)))
			rows[2] += fmt.Sprintf(" %s |", hundredths(share(one, disk)))
		}
		b.WriteString(strings.Join(rows, "\n") + "\n")
	}
	return b.String()
}
