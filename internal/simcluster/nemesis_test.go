package simcluster

import (
	"time"
)

const (
	// A fault lasts up to this long, and twice that with another one inside it: not
	// more than the 10 s after which a node takes a disk that doesn't answer for
	// broken.
	maxFaultTime = 4 * time.Second
	minFaultTime = 500 * time.Millisecond
	maxCalmTime  = time.Second
)

// nemesis breaks things, mends them, and waits until the cluster works again.
type nemesis struct {
	w *world
}

// fault is one kind. strike breaks something and returns how to mend it, or nil
// where there is nothing to break. What mend returns tells whether the fault met
// anything: cut a link in use, or lost data that wasn't synced. It counts as well
// if another leader was elected meanwhile.
type fault struct {
	name   string
	weight int
	strike func(*nemesis) (mend func() (met bool))
	least  time.Duration // that it lasts
	alone  bool          // no other fault comes while it lasts
	outer  bool          // it comes while no other lasts
}

const pausedLeader = "leader paused"

var faults = []fault{
	{name: pausedLeader, weight: 50, strike: (*nemesis).pauseLeader, least: pauseTime},
	{name: "leader cut off", weight: 6, strike: (*nemesis).cutOffLeader},
	{name: "member cut off", weight: 6, strike: (*nemesis).cutOffAny},
	{name: "split in two", weight: 6, strike: (*nemesis).split},
	{name: "one way cut", weight: 6, strike: (*nemesis).cutOneWay},
	{name: "links reset", weight: 4, strike: (*nemesis).resetLinks},
	{name: "links refused", weight: 4, strike: (*nemesis).refuseLinks},
	{name: "links slow", weight: 4, strike: (*nemesis).slowLinks},
	{name: "leader killed", weight: 6, strike: (*nemesis).killLeader},
	{name: "member without power", weight: 6, strike: (*nemesis).powerOff},
	{name: "power lost at a write", weight: 6, strike: (*nemesis).powerOffAtWrite, alone: true},
	{name: "all without power", weight: 2, strike: (*nemesis).powerOffAll},
	{name: "restart", weight: 3, strike: (*nemesis).restart},
	{name: "leadership handed over", weight: 2, strike: (*nemesis).transfer},
	{name: "log stalled", weight: 2, strike: (*nemesis).stallLog},
	{name: "clocks jumped", weight: 3, strike: (*nemesis).jumpClocks},
	{name: "member replaced", weight: 3, strike: (*nemesis).replaceMember, outer: true},
}

// strike is one round: a fault, and now and then another one inside it.
func (n *nemesis) strike() {
	f := n.choose()
	n.during(f, func() {
		if !f.alone && n.w.rng.IntN(6) == 0 {
			if inner := n.choose(); !inner.outer {
				n.during(inner, func() {})
			}
		}
	})
	n.w.recovered()
	time.Sleep(time.Duration(n.w.rng.Int64N(int64(maxCalmTime))))
}

// during has the fault last for a while, and in it meanwhile.
func (n *nemesis) during(f fault, meanwhile func()) {
	terms := n.w.ledger.terms()
	mend := f.strike(n)
	if mend == nil {
		return
	}
	n.w.note("%s", f.name)
	least := max(f.least, minFaultTime)
	time.Sleep(least + time.Duration(n.w.rng.Int64N(int64(maxFaultTime-least))))
	meanwhile()
	met := mend()
	n.w.note("%s: mended", f.name)
	n.w.counts.fault(f.name, met || n.w.ledger.terms() > terms)
}

func (n *nemesis) choose() fault {
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	at := n.w.rng.IntN(total)
	for _, f := range faults {
		if at -= f.weight; at < 0 {
			return f
		}
	}
	panic("unreachable")
}

// up returns a machine that runs, nil if none does.
func (n *nemesis) up() *machine {
	var running []*machine
	for _, m := range n.w.all() {
		if m.running() != nil {
			running = append(running, m)
		}
	}
	if len(running) == 0 {
		return nil
	}
	return running[n.w.rng.IntN(len(running))]
}

// others are the names of all machines but m.
func (n *nemesis) others(m *machine) (names []string) {
	for _, other := range n.w.all() {
		if other != m {
			names = append(names, other.name)
		}
	}
	return names
}

// percent is how much of what isn't synced a loss of power leaves.
func (n *nemesis) percent() int { return 50 * n.w.rng.IntN(2) }
