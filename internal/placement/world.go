package main

import (
	"math/bits"
	"math/rand/v2"
)

// milli is one sync a second: loads are kept in thousandths, so that all is integers and the
// same on every machine.
const milli = 1000

type organization struct {
	load    int64
	group   int
	movable int // from this minute on
}

type group struct {
	load     int64
	replicas []int // nodes
	leader   int   // one of them
}

// world is a cluster at one minute.
type world struct {
	params
	random        *rand.PCG
	minute        int
	organizations []organization
	groups        []group
	alive         []bool // by node
	lostAt        int    // minute at which the last one was lost

	done counts
}

// counts are of what the policy has done.
type counts struct{ moves, transfers, rebuilt int }

// newWorld has nodes and groups, and no organizations yet.
func newWorld(p params) *world {
	w := &world{params: p, random: rand.NewPCG(p.seed, 0), groups: make([]group, p.groups)}
	for range p.nodes {
		w.alive = append(w.alive, true)
	}
	for g := range w.groups {
		for range p.replicas {
			w.groups[g].replicas = append(w.groups[g].replicas, w.roomiest(g))
		}
		w.groups[g].leader = w.groups[g].replicas[0]
	}
	for w.spreadLeaders() {
	}
	w.done = counts{}
	return w
}

func (w *world) below(n int) int { return int(w.random.Uint64() % uint64(n)) }

// zipf are the loads of all organizations: of the one with rank r in proportion to 1/r, up to
// the limit.
func (w *world) zipf() []int64 {
	const unit = 1 << 32
	loads, sum := make([]int64, w.params.organizations), int64(0)
	for i := range loads {
		loads[i] = unit / int64(i+1)
		sum += loads[i]
	}
	for i := range loads {
		loads[i] = min(scale(loads[i], int64(w.load)*milli, sum), w.limit())
	}
	return loads
}

// scale is n*by/of. None is negative, and n isn't above of.
func scale(n, by, of int64) int64 {
	high, low := bits.Mul64(uint64(n), uint64(by))
	quotient, _ := bits.Div64(high, low, uint64(of))
	return int64(quotient)
}

func (w *world) limit() int64 { return int64(w.limitMinute) * milli / 60 }

// add has an organization appear in a group.
func (w *world) add(load int64, group int) {
	w.organizations = append(w.organizations, organization{load: load, group: group})
	w.groups[group].load += load
}

// populate has all organizations appear, in random order.
func (w *world) populate(place func() int) {
	loads := w.zipf()
	for i := range loads {
		j := i + w.below(len(loads)-i)
		loads[i], loads[j] = loads[j], loads[i]
		w.add(loads[i], place())
	}
}

func (w *world) setLoad(org int, load int64) {
	o := &w.organizations[org]
	w.groups[o.group].load += load - o.load
	o.load = load
}

// total is the load of all groups.
func (w *world) total() (sum int64) {
	for _, g := range w.groups {
		sum += g.load
	}
	return sum
}

// busiest and idlest are groups.
func (w *world) busiest() (busiest, idlest int) {
	for g := range w.groups {
		if w.groups[g].load > w.groups[busiest].load {
			busiest = g
		}
		if w.groups[g].load < w.groups[idlest].load {
			idlest = g
		}
	}
	return busiest, idlest
}

// held counts replicas or leaders, by node.
func (w *world) held(leaders bool) []int {
	n := make([]int, len(w.alive))
	for _, g := range w.groups {
		if leaders {
			n[g.leader]++
			continue
		}
		for _, r := range g.replicas {
			n[r]++
		}
	}
	return n
}
