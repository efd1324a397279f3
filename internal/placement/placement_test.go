package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/scaling.md")

// What docs/scaling.md shows is what the program prints.
func TestTables(t *testing.T) {
	const path = "../../docs/scaling.md"
	read, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(read)
	for _, table := range tables(defaults()) {
		begin := fmt.Sprintf("<!-- %s: written by go test ./internal/placement -update -->\n\n", table.name)
		head, rest, found := strings.Cut(page, begin)
		shown, tail, ends := strings.Cut(rest, "\n\n")
		if !found || !ends {
			t.Fatalf("%s has no table after %q", path, begin)
		}
		if shown+"\n" != table.text && !*update {
			t.Errorf("%s shows other %s than the program gives: run go test ./internal/placement -update", path, table.name)
		}
		page = head + begin + table.text + "\n" + tail
	}
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever happens, each organization counts in one group, and each group has a leader and
// its replicas on as many nodes that are alive.
func TestWorldStaysWhole(t *testing.T) {
	for seed := range uint64(20) {
		p := defaults()
		p.seed, p.organizations, p.limitMinute = seed, 500, highLimit
		w := newWorld(p)
		w.populate(w.anyGroup)
		for step := range 300 {
			switch w.below(20) {
			case 0:
				w.shuffle(10)
			case 1:
				w.grow(3)
			case 2:
				w.heat()
			case 3:
				w.alive = append(w.alive, true)
			case 4:
				if living(w) > p.replicas {
					w.loseLeader()
					w.minute += p.patience
					for w.spreadReplicas() {
					}
				}
			}
			busiest, _ := w.busiest()
			before := w.groups[busiest].load
			w.pass()
			if busiest, _ = w.busiest(); w.groups[busiest].load > before {
				t.Fatalf("seed %d, step %d: the busiest group has %d, and had %d before it was relieved", seed, step, w.groups[busiest].load, before)
			}
			checkWhole(t, w)
		}
	}
}

func living(w *world) (n int) {
	for _, alive := range w.alive {
		if alive {
			n++
		}
	}
	return n
}

func checkWhole(t *testing.T, w *world) {
	t.Helper()
	loads := make([]int64, len(w.groups))
	for _, o := range w.organizations {
		loads[o.group] += o.load
	}
	for g, group := range w.groups {
		if group.load != loads[g] {
			t.Fatalf("group %d has a load of %d, its organizations have %d", g, group.load, loads[g])
		}
		nodes := slices.Compact(slices.Sorted(slices.Values(group.replicas)))
		if len(nodes) != w.replicas || !slices.Contains(nodes, group.leader) ||
			slices.ContainsFunc(nodes, func(n int) bool { return !w.alive[n] }) {
			t.Fatalf("group %d: replicas %v, leader %d, nodes alive %v", g, group.replicas, group.leader, w.alive)
		}
	}
}

// After a node is lost, or joins, its share of leaders and replicas is as large as the others'.
func TestLeadersAndReplicasAreSpread(t *testing.T) {
	w := newWorld(defaults())
	w.populate(w.betterOfTwo)
	for _, change := range []func(){
		func() {},
		func() { w.loseLeader() },
		func() { w.alive = append(w.alive, true) },
	} {
		change()
		for range 2 * hour {
			w.pass()
		}
		for _, leaders := range []bool{true, false} {
			var held []int
			for n, count := range w.held(leaders) {
				if w.alive[n] {
					held = append(held, count)
				}
			}
			if slices.Max(held) > slices.Min(held)+1 {
				t.Errorf("leaders %v: the nodes have %v", leaders, held)
			}
		}
	}
}

// Where all groups have the same load, what a cluster carries can be said without a simulation.
func TestCapacity(t *testing.T) {
	even := func(nodes, groups int, change func(*params)) *world {
		p := defaults()
		p.nodes, p.groups = nodes, groups
		change(&p)
		w := newWorld(p)
		for g := range groups {
			w.add(milli, g)
		}
		return w
	}
	for _, c := range []struct {
		nodes, groups int
		change        func(*params)
		thousandths   int
		bound         string
	}{
		{3, 1, func(*params) {}, 1000, "group"},
		{3, 3, func(*params) {}, 3000, "group"},
		// 2000/(40/3 + 30/3 + 30) % of a node's work
		{3, 6, func(*params) {}, 3750, "processors"},
		{3, 6, func(p *params) { p.applyPercent, p.receivePercent = 60, 10 }, 2727, "processors"},
		{3, 6, func(p *params) { p.fsyncSyncs = 1 }, 1000, "fsyncs"},
	} {
		w := even(c.nodes, c.groups, c.change)
		got, bound := w.capacity()
		if got < c.thousandths-1 || got > c.thousandths || bound != c.bound {
			t.Errorf("%d nodes, %d groups carry %d, bound by %s; not %d, %s", c.nodes, c.groups, got, bound, c.thousandths, c.bound)
		}
	}
	each, one := even(3, 6, func(*params) {}).fsyncs(1_000_000 * milli)
	if each != 6*200*milli || one != 200*milli {
		t.Errorf("six busy logs want %d fsyncs, one %d", each, one)
	}
}
